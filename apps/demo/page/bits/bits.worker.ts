// The products of the tab: an instrumented engine, faults inside its kernels, and the checks around them.
import { createKernels, type Kernels, type ProtectedWeights, type Report } from '@ft/abft-kernels'
import type { Fault, MatmulEngine, Tensor } from '@ft/core'
import { median } from '@ft/core/statistics'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import type { CampaignOrder, Engine, News, Order, Scheme, Shown, ShowOrder } from './messages.ts'
import { drawFaults, picture } from './scene.ts'

const tell = (news: News): void => postMessage(news)

const opened = new Map<Engine, Promise<Kernels>>()
let queue: Promise<void> = Promise.resolve()

function kernelsOf(engine: Engine): Promise<Kernels> {
  const kernels = opened.get(engine) ?? (engine === 'wasm' ? openWasm() : openWebgpu())
  opened.set(engine, kernels)
  return kernels
}

async function openWasm(): Promise<Kernels> {
  return calibrated(createWasmEngine({ threads: 1, instrumented: true }))
}

async function openWebgpu(): Promise<Kernels> {
  const { createWebgpuEngine } = await import('@ft/tensor-core/webgpu')
  return calibrated(await createWebgpuEngine({ instrumented: true }))
}

async function calibrated(engine: MatmulEngine): Promise<Kernels> {
  tell({ kind: 'progress', note: `fitting thresholds to the engine “${engine.name}”` })
  return createKernels({ engine }).calibrated({ lengths: [16, 64], trials: 4, seed: 1 })
}

/** Said before anybody asks for it: what there is to choose from. */
async function lookForEngines(): Promise<void> {
  tell({ kind: 'engine', engine: 'wasm', device: 'WebAssembly' })
  const { gpu } = navigator as unknown as { gpu?: { requestAdapter(): Promise<{ info?: AdapterInfo } | null> } }
  const adapter = await gpu?.requestAdapter()
  if (!adapter) return
  const { description, vendor, architecture } = adapter.info ?? {}
  tell({
    kind: 'engine',
    engine: 'webgpu',
    device: description || `${vendor ?? ''} ${architecture ?? ''}`.trim() || 'WebGPU',
  })
}
interface AdapterInfo {
  readonly description?: string
  readonly vendor?: string
  readonly architecture?: string
}

lookForEngines().catch(() => undefined)

onmessage = ({ data }: MessageEvent<Order>) => {
  queue = queue
    .then(() => (data.kind === 'show' ? show(data) : campaign(data)))
    .catch((error: unknown) => tell({ kind: 'progress', note: `failed: ${String(error)}` }))
}

interface Scene {
  readonly a: Tensor
  readonly weights: ProtectedWeights
}

/** After one clean product under the scheme: where that alarms falsely, the weights go over to hard bounds. */
async function sceneOf(own: Kernels, { seed, scheme }: Pick<Order, 'seed' | 'scheme'>) {
  const { a, b } = picture(seed)
  const scene = { a, weights: await own.prepare(b) }
  const { report } = await product(own, scene, scheme, [])
  return { scene, alarms: report.detections.length }
}

async function show(order: ShowOrder): Promise<void> {
  const own = await kernelsOf(order.engine)
  const { scene } = await sceneOf(own, order)
  const faults = order.faults === 0 ? [] : drawFaults({ ...order, count: order.faults })
  const clean = await product(own, scene, 'none', [])
  const hurt = await product(own, scene, 'none', faults)
  const guarded = await product(own, scene, order.scheme, faults)
  const shown: Shown = {
    kind: 'shown',
    order,
    clean: clean.values,
    hurt: hurt.values,
    guarded: guarded.values,
    found: placesOf(guarded.report),
    status: guarded.report.status,
    changed: differing(clean.values, hurt.values),
    stillWrong: differing(clean.values, guarded.values),
    recomputed: guarded.report.recomputed,
    checks: guarded.report.checks,
    smallest: guarded.report.threshold.smallestDetectable,
    ...(await times(own, scene, order.scheme)),
  }
  tell(shown)
}

async function product(own: Kernels, { a, weights }: Scene, scheme: Scheme, faults: readonly Fault[]) {
  const { output, report } = await own.matmul(a, weights, { scheme, ...(faults.length > 0 ? { faults } : {}) })
  // The output is the caller's until the next product: a picture is kept
  return { values: Float32Array.from(output.data), report }
}

function placesOf({ detections }: Report): { row: number; column?: number }[] {
  return detections.flatMap(({ region, outcome }) => {
    if (outcome === 'false-alarm') return []
    switch (region.kind) {
      case 'row':
        return [{ row: region.row }]
      case 'element':
        return [{ row: region.row, column: region.column }]
      case 'tile':
        return [{ row: region.rows[0], column: region.columns[0] }]
      case 'column':
      case 'product':
        return []
    }
  })
}

/** Values whose bits differ. */
function differing(x: Float32Array, y: Float32Array): number {
  let count = 0
  for (let i = 0; i < x.length; i++) if (!Object.is(x[i], y[i])) count++
  return count
}

/** Plain and checked products in turn, so that whatever else the machine does meets both. */
async function times(own: Kernels, scene: Scene, scheme: Scheme): Promise<{ plainMs: number; guardedMs: number }> {
  const [plain, guarded]: [number[], number[]] = [[], []]
  for (let i = 0; i < 15; i++) {
    for (const [list, which] of [
      [plain, 'none'],
      [guarded, scheme],
    ] as const) {
      const begun = performance.now()
      for (let again = 0; again < 4; again++) await own.matmul(scene.a, scene.weights, { scheme: which })
      list.push((performance.now() - begun) / 4)
    }
  }
  return { plainMs: median(plain), guardedMs: median(guarded) }
}

async function campaign({ engine, seed, scheme, where, trials }: CampaignOrder): Promise<void> {
  const own = await kernelsOf(engine)
  const { scene, alarms } = await sceneOf(own, { seed, scheme })
  const { values: clean } = await product(own, scene, 'none', [])
  const zeros = () => new Array<number>(32).fill(0)
  const [changed, found, exact] = [zeros(), zeros(), zeros()]
  const total = trials * 32
  let falseAlarms = alarms
  for (let done = 0; done < total; done++) {
    const bit = done % 32
    const faults = drawFaults({ seed: seed * 100_000 + done, count: 1, bit, where })
    const hurt = await product(own, scene, 'none', faults)
    const guarded = await product(own, scene, scheme, faults)
    falseAlarms += guarded.report.detections.filter(({ outcome }) => outcome === 'false-alarm').length
    if (differing(clean, hurt.values) > 0) {
      count(changed, bit)
      if (guarded.report.status !== 'clean') count(found, bit)
      if (differing(clean, guarded.values) === 0) count(exact, bit)
    }
    if (done % 64 === 63 || done === total - 1) {
      tell({
        kind: 'tally',
        done: done + 1,
        total,
        changed: [...changed],
        found: [...found],
        exact: [...exact],
        falseAlarms,
      })
      await new Promise((resolve) => setTimeout(resolve, 0))
    }
  }
}

function count(list: number[], at: number): void {
  list[at] = (list[at] ?? 0) + 1
}
