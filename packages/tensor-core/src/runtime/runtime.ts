// One WebAssembly memory, a few threads, and the kernels of whoever loads them.
import { assertOneOf, assertOptionNames, FtError, type WasmModule, type WasmRuntime, type WasmVariant } from '@ft/core'
import { createAllocator, pageBytes, type Allocator } from './allocator.ts'
import { relaxedSimdSupported, sharedMemorySupported, simdSupported } from './features.ts'
import {
  argumentsAddress,
  controlAddress,
  failureAddress,
  heapAddress,
  maximumArguments,
  maximumModules,
  modulesAddress,
  word,
} from './layout.ts'
import { maySleep, processors, startThread, type Thread } from './threads.ts'

export interface WasmRuntimeOptions {
  /** Threads, the caller's included. Default: all processors; 1 where memory cannot be shared. */
  readonly threads?: number
  /** Fused multiply-add; other rounding than strict SIMD. Default 'auto': where it compiles. */
  readonly relaxed?: 'auto' | boolean
  /** Most memory that may be used, in bytes: default and limit 4 GiB. */
  readonly maximumBytes?: number
}

/** A runtime and what only its owner asks for. */
export interface OwnedWasmRuntime extends WasmRuntime {
  /** Resolves when every thread takes part in `fork`; until then those that are there do the work. */
  ready(): Promise<void>
  /** Bytes handed out by `alloc` and not freed. */
  readonly used: number
}

type Kernel = (...args: number[]) => number

interface Loaded extends WasmModule {
  readonly bytes: Uint8Array
  readonly index: number
  readonly functions: ReadonlyMap<string, number>
}

const maximumThreads = 256
const fourGiB = 65_536 * pageBytes

// Ends threads of runtimes that nobody disposed.
const net = new FinalizationRegistry<readonly Thread[]>((threads) => {
  for (const thread of threads) void thread.terminate()
})

/**
 * Creates memory and threads for WebAssembly kernels.
 *
 * Threads start in the background, sleep between forks and never keep a Node process alive. With one thread memory is
 * not shared and nothing is started.
 *
 * @throws `ENGINE_UNAVAILABLE` without SIMD, with `relaxed: true` where it does not compile, or with more than one
 * thread asked for where memory cannot be shared
 * @example
 * ```ts
 * const runtime = createWasmRuntime({ threads: 2 })
 * const address = runtime.alloc(1024)
 * address % 64 // => 0
 * runtime.free(address)
 * await runtime.dispose()
 * ```
 */
export function createWasmRuntime(options: WasmRuntimeOptions = {}): OwnedWasmRuntime {
  const { threads, relaxed, maximumBytes } = resolveOptions(options)
  const shared = threads > 1
  const variant: WasmVariant = `${relaxed ? 'relaxed' : 'simd'}${shared ? '-shared' : ''}`
  const memory = new WebAssembly.Memory({ initial: 2, maximum: maximumBytes / pageBytes, shared })
  const control = new Int32Array(memory.buffer, controlAddress, 64)
  const allocator = createAllocator(memory, heapAddress, maximumBytes)
  const workers = shared ? Array.from({ length: threads - 1 }, () => startThread(memory)) : []
  const modules = new Map<string, Loaded>()
  let disposed = false

  function alive(what: string): void {
    if (disposed) throw new FtError('INVALID_ARGUMENT', `${what}: the runtime was disposed; create another`)
  }

  const runtime: OwnedWasmRuntime = {
    memory,
    threads,
    relaxed,
    variant,
    get used() {
      return allocator.used
    },
    alloc(bytes, align) {
      alive('alloc')
      const pointer = allocator.alloc(bytes, align)
      if (shared) Atomics.store(control, word.pages, memory.buffer.byteLength / pageBytes)
      return pointer
    },
    free(pointer) {
      // A disposed runtime has nothing to give back to: its memory goes as a whole. Engines that share it, and weights that
      // the garbage collector finds later, free their blocks all the same.
      if (!disposed) allocator.free(pointer)
    },
    load(name, bytes) {
      alive('load')
      const known = modules.get(name)
      if (known === undefined) {
        const module = instantiate({ name, bytes, index: modules.size, memory })
        if (shared) announce(module, { memory, allocator })
        modules.set(name, module)
        return module
      }
      if (!sameBytes(known.bytes, bytes))
        throw new FtError('INVALID_ARGUMENT', `load: another module is loaded as '${name}'; choose another name`, {
          name,
        })
      return known
    },
    fork(module, fn, argsPerThread) {
      alive('fork')
      const loaded = modules.get(module.name)
      const index = loaded?.functions.get(fn)
      if (loaded === undefined || index === undefined)
        throw new FtError('INVALID_ARGUMENT', `fork: no function '${fn}' in a loaded module '${module.name}'`, {
          module: module.name,
          fn,
        })
      const kernel = loaded.exports[fn] as Kernel
      if (!shared || argsPerThread.length < 2) runHere(loaded, kernel, argsPerThread)
      else forkShared({ memory, control, module: loaded, fn: index, kernel }, argsPerThread)
    },
    async ready() {
      alive('ready')
      try {
        await Promise.all(workers.map((worker) => worker.ready()))
      } catch (cause) {
        throw new FtError('ENGINE_UNAVAILABLE', `ready: a thread did not start: ${String(cause)}`, {}, { cause })
      }
    },
    async dispose() {
      if (disposed) return
      disposed = true
      net.unregister(runtime)
      if (!shared) return
      Atomics.store(control, word.stop, 1)
      Atomics.add(control, word.wake, 1)
      Atomics.notify(control, word.wake)
      await Promise.all(workers.map((worker) => worker.terminate()))
    },
  }
  if (workers.length > 0) net.register(runtime, workers, runtime)
  return runtime
}

function resolveOptions(options: WasmRuntimeOptions): { threads: number; relaxed: boolean; maximumBytes: number } {
  assertOptionNames(options, { threads: true, relaxed: true, maximumBytes: true }, 'createWasmRuntime')
  const { relaxed = 'auto', maximumBytes = fourGiB } = options
  assertOneOf(relaxed, { where: 'createWasmRuntime', argument: 'options.relaxed', values: ['auto', true, false] })
  const threads = options.threads ?? (sharedMemorySupported() ? Math.min(processors(), maximumThreads) : 1)
  if (!Number.isInteger(threads) || threads < 1 || threads > maximumThreads)
    throw new FtError(
      'INVALID_ARGUMENT',
      `createWasmRuntime: \`threads\` must be 1 to ${maximumThreads}, got ${threads}`,
      {
        threads,
      },
    )
  if (!Number.isInteger(maximumBytes) || maximumBytes < 2 * pageBytes || maximumBytes > fourGiB)
    throw new FtError(
      'INVALID_ARGUMENT',
      `createWasmRuntime: \`maximumBytes\` must be ${2 * pageBytes} to ${fourGiB}, got ${maximumBytes}`,
      { maximumBytes },
    )
  if (!simdSupported())
    throw new FtError('ENGINE_UNAVAILABLE', 'createWasmRuntime: no WebAssembly SIMD here; use the reference engine')
  if (threads > 1 && !sharedMemorySupported())
    throw new FtError(
      'ENGINE_UNAVAILABLE',
      `createWasmRuntime: ${threads} threads need shared memory; serve the page with COOP and COEP headers or use one thread`,
    )
  if (relaxed === true && !relaxedSimdSupported())
    throw new FtError(
      'ENGINE_UNAVAILABLE',
      'createWasmRuntime: no relaxed SIMD here (Node 22 has it); leave `relaxed` out',
    )
  return {
    threads,
    relaxed: relaxed === 'auto' ? relaxedSimdSupported() : relaxed,
    maximumBytes: Math.floor(maximumBytes / pageBytes) * pageBytes,
  }
}

function instantiate(o: { name: string; bytes: Uint8Array; index: number; memory: WebAssembly.Memory }): Loaded {
  if (o.index === maximumModules)
    throw new FtError('UNSUPPORTED', `load: a runtime holds at most ${maximumModules} modules`, { name: o.name })
  // A copy: callers may reuse their buffer, and the comparison of a second load needs the original.
  const bytes = o.bytes.slice()
  try {
    const module = new WebAssembly.Module(bytes)
    const exports = new WebAssembly.Instance(module, { env: { memory: o.memory } }).exports as Record<string, Kernel>
    const functions = new Map<string, number>()
    WebAssembly.Module.exports(module).forEach((e, i) => {
      if (e.kind === 'function') functions.set(e.name, i)
    })
    return { name: o.name, exports, bytes, index: o.index, functions }
  } catch (cause) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `load: '${o.name}' is not a module for this runtime: ${String(cause)}; pass the build named by \`runtime.variant\``,
      { name: o.name },
      { cause },
    )
  }
}

/** Leaves a module's bytes where workers find them when they first need it. */
function announce(module: Loaded, { memory, allocator }: { memory: WebAssembly.Memory; allocator: Allocator }): void {
  const address = allocator.alloc(module.bytes.length)
  new Uint8Array(memory.buffer, address).set(module.bytes)
  new Uint32Array(memory.buffer, modulesAddress).set([address, module.bytes.length], module.index * 2)
}

function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((value, i) => value === b[i])
}

function failed(module: Loaded, cause: unknown): FtError {
  return new FtError(
    'UNSUPPORTED',
    `fork: '${module.name}' failed: ${String(cause)}; its memory may be damaged`,
    { module: module.name },
    { cause },
  )
}

function runHere(module: Loaded, kernel: Kernel, tasks: readonly (readonly number[])[]): void {
  try {
    for (const task of tasks) kernel(...task)
  } catch (cause) {
    throw failed(module, cause)
  }
}

interface Fork {
  readonly memory: WebAssembly.Memory
  readonly control: Int32Array
  readonly module: Loaded
  readonly fn: number
  readonly kernel: Kernel
}

function forkShared(fork: Fork, tasks: readonly (readonly number[])[]): void {
  const arity = Math.max(1, ...tasks.map((task) => task.length))
  const batch = Math.floor(maximumArguments / arity)
  if (batch === 0)
    throw new FtError('INVALID_ARGUMENT', `fork: a task may have ${maximumArguments} arguments, got ${arity}`, {
      arity,
    })
  for (let start = 0; start < tasks.length; start += batch) forkBatch(fork, arity, tasks.slice(start, start + batch))
}

function forkBatch(fork: Fork, arity: number, tasks: readonly (readonly number[])[]): void {
  const { control, memory, kernel } = fork
  const values = new Float64Array(memory.buffer, argumentsAddress, maximumArguments)
  values.fill(0, 0, tasks.length * arity)
  tasks.forEach((task, i) => values.set(task, i * arity))
  control[word.module] = fork.module.index
  control[word.fn] = fork.fn
  control[word.arity] = arity
  control[word.count] = tasks.length
  Atomics.store(control, word.failure, 0)
  Atomics.store(control, word.pending, tasks.length)
  Atomics.store(control, word.remaining, tasks.length)
  Atomics.add(control, word.wake, 1)
  Atomics.notify(control, word.wake, tasks.length - 1)

  let failure: unknown
  for (;;) {
    const remaining = Atomics.load(control, word.remaining)
    if (remaining === 0) break
    if (Atomics.compareExchange(control, word.remaining, remaining, remaining - 1) !== remaining) continue
    try {
      kernel(...(tasks[tasks.length - remaining] as readonly number[]))
    } catch (error) {
      failure ??= error
    }
    Atomics.sub(control, word.pending, 1)
  }
  join(control)

  const length = Atomics.load(control, word.failure)
  if (length > 0) failure ??= new TextDecoder().decode(new Uint8Array(memory.buffer, failureAddress, length).slice())
  if (failure !== undefined) throw failed(fork.module, failure)
}

/** Waits until the threads have finished what they took. */
function join(control: Int32Array): void {
  const sleeps = maySleep()
  for (let looks = 0; ; looks++) {
    const pending = Atomics.load(control, word.pending)
    if (pending === 0) return
    // Tasks are cut to equal length, so the wait is mostly short; a page's main thread may not sleep at all.
    if (sleeps && looks > 2000) Atomics.wait(control, word.pending, pending)
  }
}
