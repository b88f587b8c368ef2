// Starts workers from source text: worker_threads in Node, blob workers in browsers.
import { worker as source } from '../generated/worker.ts'

export interface Thread {
  /** Resolves when the thread listens, rejects when it could not start. Keeps a Node process alive while awaited. */
  ready(): Promise<void>
  terminate(): Promise<void>
}

interface NodeWorker {
  on(event: string, listener: (value: unknown) => void): void
  ref(): void
  unref(): void
  terminate(): Promise<number>
}

interface NodeThreads {
  Worker: new (source: string, options: object) => NodeWorker
}

type Builtin = (name: string) => unknown

/** Node's own modules without an import that a bundler for browsers would follow. */
function builtin(): Builtin | undefined {
  return (globalThis as { process?: { getBuiltinModule?: Builtin } }).process?.getBuiltinModule
}

/** Processors that this process may use. */
export function processors(): number {
  const os = builtin()?.('node:os') as { availableParallelism(): number } | undefined
  return os?.availableParallelism() ?? (globalThis as { navigator?: Navigator }).navigator?.hardwareConcurrency ?? 1
}

/** Whether this thread may sleep in `Atomics.wait`: a page's main thread may not. */
export function maySleep(): boolean {
  return builtin() !== undefined || typeof (globalThis as { document?: unknown }).document === 'undefined'
}

export function startThread(memory: WebAssembly.Memory): Thread {
  const node = builtin()?.('node:worker_threads') as NodeThreads | undefined
  return node === undefined ? startWebThread(memory) : startNodeThread(node, memory)
}

function startNodeThread(node: NodeThreads, memory: WebAssembly.Memory): Thread {
  const worker = new node.Worker(source, { eval: true, execArgv: [], env: {}, workerData: { memory } })
  const started = new Promise<void>((resolve, reject) => {
    worker.on('message', () => resolve())
    worker.on('error', reject)
    worker.on('exit', () => reject(new Error('the thread ended')))
  })
  // Who does not ask is not told.
  started.catch(() => undefined)
  worker.unref()
  return {
    async ready() {
      worker.ref()
      try {
        await started
      } finally {
        worker.unref()
      }
    },
    async terminate() {
      await worker.terminate()
    },
  }
}

function startWebThread(memory: WebAssembly.Memory): Thread {
  const url = URL.createObjectURL(new Blob([source], { type: 'text/javascript' }))
  const worker = new Worker(url)
  const started = new Promise<void>((resolve, reject) => {
    worker.onmessage = () => resolve()
    worker.onerror = (event) => reject(new Error(event.message))
  })
  const release = (): void => URL.revokeObjectURL(url)
  started.then(release, release)
  worker.postMessage({ memory })
  return {
    ready: () => started,
    async terminate() {
      worker.terminate()
    },
  }
}
