// Which TensorFlow.js backend this machine has: each is loaded, started and asked for a product before it is chosen.
import { FtError, assertOneOf, invalidArgument } from '@ft/core'
import { exposeWebgpu } from '../webgpuGlobals.ts'
import type { Tfjs } from './surface.ts'

const names = ['tfjs-node-gpu', 'tfjs-node', 'webgpu', 'wasm', 'cpu'] as const

export type TfjsBackendName = (typeof names)[number]

export interface SelectTfjsOptions {
  /** Tried first, in this order; the others follow: tfjs-node-gpu, tfjs-node, webgpu, wasm, cpu. */
  readonly prefer?: TfjsBackendName | readonly TfjsBackendName[]
  /** Loads a package by name; default `import(name)`. Bundled pages pass one that knows their packages. */
  readonly load?: (name: string) => Promise<unknown>
  /** Where the .wasm files of @tensorflow/tfjs-backend-wasm are served; in Node they are found beside the package. */
  readonly wasmPath?: string
}

export interface TfjsSelection {
  readonly backend: TfjsBackendName
  /** TensorFlow.js with that backend active. */
  readonly tf: Tfjs
  /** Those tried before it, with the reason each was passed over. */
  readonly passedOver: readonly { readonly backend: TfjsBackendName; readonly reason: string }[]
}

/**
 * Chooses the fastest TensorFlow.js backend that works here.
 *
 * A backend is chosen when its package loads, it becomes active, and a 1x2 by 2x1 product read back from it is right.
 * `tfjs-node-gpu` is chosen only when it computes on a GPU: its binding falls back to the processor without saying so.
 *
 * @example
 * ```ts
 * const { backend, tf, passedOver } = await selectTfjsBackend({ prefer: 'wasm' })
 * backend // => 'wasm'
 * passedOver // => []
 * ```
 * @throws FtError `MISSING_PEER` with every reason when none works: `npm install @tensorflow/tfjs`
 */
export async function selectTfjsBackend(options: SelectTfjsOptions = {}): Promise<TfjsSelection> {
  const order = orderOf(options.prefer)
  const load = options.load ?? ((name: string) => import(/* @vite-ignore */ /* webpackIgnore: true */ name))
  const passedOver: { backend: TfjsBackendName; reason: string }[] = []
  for (const backend of order) {
    try {
      const tf = await starters[backend]({ load, wasmPath: options.wasmPath })
      await assertProduct(tf)
      return { backend, tf, passedOver }
    } catch (error) {
      passedOver.push({ backend, reason: reasonOf(error) })
    }
  }
  throw noBackend(passedOver)
}

function orderOf(prefer: SelectTfjsOptions['prefer'] = []): TfjsBackendName[] {
  const at = { where: 'selectTfjsBackend', argument: 'options.prefer' }
  const first: readonly unknown[] = typeof prefer === 'string' ? [prefer] : prefer
  if (!Array.isArray(first)) throw invalidArgument(at, 'a backend or a list of backends', prefer)
  for (const name of first) assertOneOf(name, { ...at, values: names })
  return [...new Set([...(first as readonly TfjsBackendName[]), ...names])]
}

interface Start {
  readonly load: (name: string) => Promise<unknown>
  readonly wasmPath: string | undefined
}

const starters: Readonly<Record<TfjsBackendName, (start: Start) => Promise<Tfjs>>> = {
  'tfjs-node-gpu': async ({ load }) => {
    const tf = await activate(moduleOf(await load('@tensorflow/tfjs-node-gpu')), 'tensorflow')
    const { isUsingGpuDevice } = tf.backend() as { isUsingGpuDevice?: boolean }
    if (isUsingGpuDevice !== true)
      throw new Error('its binding runs on the processor: no CUDA device, driver or library was found')
    return tf
  },
  'tfjs-node': async ({ load }) => activate(moduleOf(await load('@tensorflow/tfjs-node')), 'tensorflow'),
  webgpu: async ({ load }) => {
    await exposeWebgpu()
    const tf = moduleOf<Tfjs>(await load('@tensorflow/tfjs'))
    await load('@tensorflow/tfjs-backend-webgpu')
    return activate(tf, 'webgpu')
  },
  wasm: async ({ load, wasmPath }) => {
    const tf = moduleOf<Tfjs>(await load('@tensorflow/tfjs'))
    const wasm = moduleOf<{ setWasmPaths(path: string): void }>(await load('@tensorflow/tfjs-backend-wasm'))
    const path = wasmPath ?? filesInNode('@tensorflow/tfjs-backend-wasm')
    if (path !== undefined) wasm.setWasmPaths(path)
    return activate(tf, 'wasm')
  },
  cpu: async ({ load }) => activate(moduleOf(await load('@tensorflow/tfjs')), 'cpu'),
}

/** A CommonJS package that was imported has everything under `default`. */
function moduleOf<T = Tfjs>(loaded: unknown): T {
  const { default: inner } = loaded as { default?: unknown }
  return ('setBackend' in (loaded as object) || 'setWasmPaths' in (loaded as object) ? loaded : (inner ?? loaded)) as T
}

async function activate(tf: Tfjs, name: string): Promise<Tfjs> {
  if (!(await tf.setBackend(name))) throw new Error(`TensorFlow.js could not start its backend '${name}'`)
  await tf.ready()
  return tf
}

/** The folder of a package's main file, in Node; undefined elsewhere. */
function filesInNode(name: string): string | undefined {
  const { getBuiltinModule } =
    (
      globalThis as {
        process?: {
          getBuiltinModule?: (id: string) => { createRequire(from: string): { resolve(name: string): string } }
        }
      }
    ).process ?? {}
  return getBuiltinModule?.('node:module')
    .createRequire(import.meta.url)
    .resolve(name)
    .replace(/[^/\\]+$/, '')
}

async function assertProduct(tf: Tfjs): Promise<void> {
  const [a, b] = [tf.tensor2d([1, 2], [1, 2]), tf.tensor2d([3, 4], [2, 1])]
  const c = tf.matMul(a, b)
  const [value] = Array.from(await c.data())
  for (const tensor of [a, b, c]) tensor.dispose()
  if (value !== 11) throw new Error(`its product of [1, 2] and [3, 4] is ${value}, not 11`)
}

function reasonOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return (message.split('\n')[0] ?? '').replace('createWebgpuEngine: ', '')
}

function noBackend(passedOver: TfjsSelection['passedOver']): FtError {
  const reasons = passedOver.map(({ backend, reason }) => `${backend}: ${reason}`).join('; ')
  return new FtError(
    'MISSING_PEER',
    `selectTfjsBackend: no backend works here (${reasons}); npm install @tensorflow/tfjs`,
    {
      passedOver,
    },
  )
}
