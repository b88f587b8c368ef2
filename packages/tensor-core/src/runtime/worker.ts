// A thread of a WebAssembly runtime: sleeps until a fork, takes tasks until none is left, sleeps again.
// Bundled to a string (src/generated/worker.ts) that Node and browsers start as a worker.
import { argumentsAddress, controlAddress, failureAddress, failureBytes, modulesAddress, word } from './layout.ts'

type Kernel = (...args: number[]) => unknown

function serve(memory: WebAssembly.Memory, ready: () => void): void {
  // The first page never moves: views of it stay good when memory grows.
  const control = new Int32Array(memory.buffer, controlAddress, 64)
  const modules = new Uint32Array(memory.buffer, modulesAddress)
  const values = new Float64Array(memory.buffer, argumentsAddress)
  const loaded: { exports: WebAssembly.Exports; names: string[] }[] = []
  let pages = 0

  function instance(index: number): { exports: WebAssembly.Exports; names: string[] } {
    let entry = loaded[index]
    if (entry === undefined) {
      const address = modules[index * 2] as number
      const bytes = new Uint8Array(memory.buffer, address, modules[index * 2 + 1]).slice()
      const module = new WebAssembly.Module(bytes)
      entry = {
        exports: new WebAssembly.Instance(module, { env: { memory } }).exports,
        names: WebAssembly.Module.exports(module).map((e) => e.name),
      }
      loaded[index] = entry
    }
    return entry
  }

  function runTask(index: number): void {
    if (pages !== Atomics.load(control, word.pages)) {
      // Growing by nothing makes this thread see what the caller has grown.
      memory.grow(0)
      pages = Atomics.load(control, word.pages)
    }
    const { exports, names } = instance(control[word.module] as number)
    const arity = control[word.arity] as number
    const fn = exports[names[control[word.fn] as number] as string] as Kernel
    fn(...values.subarray(index * arity, (index + 1) * arity))
  }

  function reportFailure(error: unknown): void {
    const text = new TextEncoder().encode(String(error)).subarray(0, failureBytes)
    if (Atomics.compareExchange(control, word.failure, 0, text.length) === 0)
      new Uint8Array(memory.buffer, failureAddress, text.length).set(text)
  }

  /** Takes tasks until none is left. A taken task keeps the caller waiting, so its description cannot change. */
  function drain(): void {
    for (;;) {
      const remaining = Atomics.load(control, word.remaining)
      if (remaining <= 0) return
      if (Atomics.compareExchange(control, word.remaining, remaining, remaining - 1) !== remaining) continue
      try {
        runTask((control[word.count] as number) - remaining)
      } catch (error) {
        reportFailure(error)
      }
      if (Atomics.sub(control, word.pending, 1) === 1) Atomics.notify(control, word.pending)
    }
  }

  ready()
  while (Atomics.load(control, word.stop) === 0) {
    const seen = Atomics.load(control, word.wake)
    drain()
    // A short look before sleeping: the next product often comes within microseconds.
    for (let i = 0; i < 2000 && Atomics.load(control, word.wake) === seen; i++);
    Atomics.wait(control, word.wake, seen)
  }
}

interface NodeThreads {
  workerData: { memory: WebAssembly.Memory }
  parentPort: { postMessage(message: unknown): void }
}

const builtin = (globalThis as { process?: { getBuiltinModule?: (name: string) => unknown } }).process?.getBuiltinModule
if (builtin !== undefined) {
  const { workerData, parentPort } = builtin('node:worker_threads') as NodeThreads
  serve(workerData.memory, () => parentPort.postMessage('ready'))
} else {
  const page = globalThis as unknown as {
    onmessage: (event: { data: { memory: WebAssembly.Memory } }) => void
    postMessage(message: unknown): void
  }
  page.onmessage = (event) => serve(event.data.memory, () => page.postMessage('ready'))
}
