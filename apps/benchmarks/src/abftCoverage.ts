// Bench "abft-coverage": false alarms on clean data and detection of flips by bit, by faults inside the instrumented kernel.
import { isFtError, type Fault, type Tensor } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { wilson } from '@ft/core/statistics'
import { createKernels, type Kernels } from '@ft/abft-kernels'
import { createReferenceEngine } from '@ft/tensor-core/reference'
import { createWasmEngine } from '@ft/tensor-core/wasm'
import { createWebgpuEngine, type WebgpuEngineOptions } from '@ft/tensor-core/webgpu'
import { cancellingPairs } from './abftPairs.ts'
import { integers, location } from './abftSingleFaults.ts'
import { bounds, type Bench, type BenchContext } from './bench.ts'

const LENGTHS = [64, 256, 1024, 4096] as const

type Maker = (random: Random, rows: number, columns: number) => Float32Array

const fill =
  (draw: (random: Random) => number): Maker =>
  (random, rows, columns) =>
    Float32Array.from({ length: rows * columns }, () => draw(random))

/** Operands by distribution: [A, B]. 'cancelling' is the one that statistical thresholds are not made for. */
const distributions: Readonly<Record<string, readonly [Maker, Maker]>> = {
  normal: [fill((r) => r.normal()), fill((r) => r.normal())],
  uniform: [fill((r) => r.uniform(-1, 1)), fill((r) => r.uniform(-1, 1))],
  relu: [fill((r) => Math.max(0, r.normal())), fill((r) => r.normal())],
  positive: [fill((r) => Math.abs(r.normal()) + 0.5), fill((r) => Math.abs(r.normal()) + 0.5)],
  outliers: [
    (r, rows, columns) => fill((x) => x.normal())(r, rows, columns).map((v, i) => (i % columns === 7 ? 60 * v : v)),
    fill((r) => r.normal()),
  ],
  'heavy tails': [
    fill((r) => r.normal() / Math.sqrt((r.normal() ** 2 + r.normal() ** 2 + r.normal() ** 2) / 3)),
    fill((r) => r.normal()),
  ],
  cancelling: [
    (r, rows, columns) =>
      Float32Array.from(
        { length: rows * columns },
        (_, i) => ((i % columns) * 2 < columns ? 1 : -1) * (1 + 0.01 * r.normal()),
      ),
    (r, rows, columns) => {
      const sorted = r.fillNormal(new Float32Array(rows)).sort()
      return Float32Array.from(
        { length: rows * columns },
        (_, i) => (sorted[Math.floor(i / columns)] as number) * (1 + 1e-4 * r.normal()),
      )
    },
  ],
}

const names = Object.keys(distributions)

const onDevice: Readonly<Record<string, WebgpuEngineOptions>> = {
  webgpu: {},
  'webgpu float16': { storage: 'float16', matrices: false },
  'webgpu float16 by subgroup matrices': { storage: 'float16', matrices: true },
}

export const abftCoverage: Bench = {
  name: 'abft-coverage',
  title: 'False alarms and detection of the row check (calibration and counting use different seeds)',
  // 'clean' is its distributions together, each of which is a part too; so are the flips on each device.
  parts: [
    ...['clean', ...names, 'bits', 'location', 'pairs', 'int8'],
    ...Object.keys(onDevice).flatMap((part) => [part, `${part} bits`]),
  ],
  async run(context) {
    const engine = createWasmEngine({ threads: 1, instrumented: true })
    try {
      const kernels = await createKernels({ engine }).calibrated({ seed: context.seed + 1000 })
      const reference = createKernels({ engine: createReferenceEngine({ instrumented: true }) })
      const wanted = context.wants('clean') ? names : names.filter((name) => context.wants(name))
      if (wanted.length > 0)
        await falseAlarms(context, kernels, { matrices: context.quick ? 3 : 72, distributions: wanted })
      if (context.wants('bits')) {
        await detection(context, 'wasm', kernels)
        await detection(context, 'reference', reference)
      }
      if (context.wants('location')) await location(context, kernels)
      if (context.wants('pairs')) await cancellingPairs(context, kernels)
      if (context.wants('int8')) await integers(context, kernels)
    } finally {
      await engine.dispose()
    }
    for (const [part, options] of Object.entries(onDevice)) {
      const clean = context.wants(part)
      if (clean || context.wants(`${part} bits`)) await webgpu(context, { part, options, clean })
    }
  },
}

/** The same counts on the GPU, by how operands are stored; `clean`: those of clean products, too. */
async function webgpu(
  context: BenchContext,
  { part, options, clean }: { part: string; options: WebgpuEngineOptions; clean: boolean },
): Promise<void> {
  let engine: Awaited<ReturnType<typeof createWebgpuEngine>>
  try {
    engine = await createWebgpuEngine({ ...options, instrumented: true })
  } catch (error) {
    if (!isFtError(error, 'ENGINE_UNAVAILABLE')) throw error
    context.note(`${part}: ${error.message}`)
    return
  }
  try {
    const { software } = engine.adapter
    context.note(`${part}: build ${engine.build}${software ? ' (software: few products)' : ''}`)
    const kernels = await createKernels({ engine }).calibrated({ seed: context.seed + 1000 })
    const matrices = software || context.quick ? 3 : 72
    if (clean) await falseAlarms(context, kernels, { matrices, prefix: `${part}, ` })
    await detection(context, part, kernels)
  } finally {
    await engine.dispose()
  }
}

async function falseAlarms(
  context: BenchContext,
  kernels: Kernels,
  o: { matrices: number; distributions?: readonly string[]; prefix?: string },
): Promise<void> {
  const { matrices, distributions: wanted = names, prefix = '' } = o
  const rows = 512
  const total = { checks: 0, faults: 0, matrices: 0 }
  for (const name of wanted) {
    const [makeA, makeB] = distributions[name] as readonly [Maker, Maker]
    let [checks, alarms, faults] = [0, 0, 0]
    for (const k of LENGTHS) {
      for (let trial = 0; trial < matrices; trial++) {
        const random = createRandom(context.seed).stream(name, k * 1000 + trial)
        // Every third product has columns enough for two ranges, and as many checks of each row.
        const columns = trial % 3 === 2 ? 640 : 128
        const a: Tensor = { data: makeA(random, rows, k), shape: [rows, k], dtype: 'float32' }
        const weights = await kernels.prepare({
          data: makeB(random, k, columns),
          shape: [k, columns],
          dtype: 'float32',
        })
        // The cancelling distribution is counted after its first product made the layer fall back to the hard bound.
        if (name === 'cancelling') await kernels.matmul(a, weights)
        const { report } = await kernels.matmul(a, weights)
        weights.release()
        checks += report.checks
        alarms += report.detections.length
        faults += report.detections.filter((item) => item.outcome !== 'false-alarm').length
        total.matrices++
      }
    }
    total.checks += checks
    total.faults += faults
    const share = wilson({ successes: alarms, trials: checks })
    const target = name === 'cancelling' ? '<= 1e-2' : '<= 1e-4'
    context.emit({
      case: `${prefix}clean, ${name}`,
      metric: 'stage-one alarms',
      value: share.value,
      unit: 'a check',
      ...bounds(share),
      target,
    })
  }
  context.emit({
    case: `${prefix}clean, ${total.matrices} matrices`,
    metric: 'confirmed false faults',
    value: total.faults,
    unit: `in ${total.checks} checks`,
    target: '0',
  })
}

async function detection(context: BenchContext, name: string, kernels: Kernels): Promise<void> {
  const [m, k, n] = [128, 1024, 256]
  const random = createRandom(context.seed).stream('flips')
  const a: Tensor = { data: random.fillNormal(new Float32Array(m * k)), shape: [m, k], dtype: 'float32' }
  const weights = await kernels.prepare({
    data: random.fillNormal(new Float32Array(k * n)),
    shape: [k, n],
    dtype: 'float32',
  })
  const passes = name === 'reference' || context.quick ? 4 : 16
  const { rowSums } = await kernels.engine.matmul(a, weights.prepared, { emit: { rowSums: true } })
  const worst = Float64Array.from(rowSums?.actual ?? []).reduce(
    (most, sum, i) => Math.max(most, Math.abs(sum - (rowSums?.expected[i] as number))),
    0,
  )
  const clean = await kernels.matmul(a, weights)
  context.emit({
    case: `${name}, 128 x 1024 x 256, ${rowSums?.actual.length} clean checks`,
    metric: 'largest threshold / worst residual',
    value: clean.report.threshold.largest / worst,
    unit: '',
    target: '<= 6',
  })
  for (let bit = 8; bit <= 31; bit++) {
    let found = 0
    for (let pass = 0; pass < passes; pass++) {
      // One fault a row: rows are checked apart.
      const faults = Array.from({ length: m }, (_, row): Fault => ({
        site: { kind: 'output', row, column: random.integer(0, n - 1) },
        effect: { kind: 'flip', bits: [bit] },
      }))
      const { report } = await kernels.matmul(a, weights, { faults, onFault: 'report' })
      found += report.detections.filter((item) => item.outcome === 'reported').length
    }
    const share = wilson({ successes: found, trials: passes * m })
    const least =
      name === 'reference'
        ? bit >= 14
          ? '>= 0.995'
          : undefined
        : bit >= 18
          ? '>= 0.995'
          : bit === 13
            ? '>= 0.94'
            : undefined
    context.emit({
      case: `${name}, 128 x 1024 x 256, bit ${bit}`,
      metric: 'detected',
      value: share.value,
      unit: '',
      ...bounds(share),
      ...(least ? { target: least } : {}),
    })
  }
  weights.release()
}
