// Single faults of bench "abft-coverage": where they are said to be, what is left of them, and integers.
import type { Fault, FaultSite, Tensor } from '@ft/core'
import { createRandom, type Random } from '@ft/core/random'
import { wilson } from '@ft/core/statistics'
import type { Kernels } from '@ft/abft-kernels'
import { bounds, type BenchContext } from './bench.ts'

interface Shape {
  readonly m: number
  readonly k: number
  readonly n: number
}

const shapeOf = (random: Random): Shape => {
  const [m, k, n] = [random.integer(1, 200), random.integer(1, 600), random.integer(2, 200)]
  // One in four has rows that are summed by ranges of columns.
  return { m, k, n: random.integer(0, 3) > 0 ? n : n + 512 }
}

const siteIn = (
  random: Random,
  { m, k, n }: Shape,
): { kind: 'output' | 'accumulator'; row: number; column: number } & FaultSite => {
  const [row, column] = [random.integer(0, m - 1), random.integer(0, n - 1)]
  return random.integer(0, 1) === 0
    ? { kind: 'output', row, column }
    : { kind: 'accumulator', row, column, step: random.integer(0, k - 1) }
}

/** One fault a product, of a bit that may be any: those that change an element by more than twice its row's threshold. */
export async function location(context: BenchContext, kernels: Kernels): Promise<void> {
  const trials = context.quick ? 300 : 4000
  const seen = { above: 0, located: 0, corrected: 0, below: 0, foundBelow: 0 }
  for (let trial = 0; trial < trials; trial++) {
    const random = createRandom(context.seed).stream('single faults', trial)
    const shape = shapeOf(random)
    const { m, k, n } = shape
    const a: Tensor = { data: random.fillNormal(new Float32Array(m * k)), shape: [m, k], dtype: 'float32' }
    const b: Tensor = { data: random.fillNormal(new Float32Array(k * n)), shape: [k, n], dtype: 'float32' }
    const weights = await kernels.prepare(b)
    const clean = await kernels.matmul(a, weights, { scheme: 'row-column' })
    const site = siteIn(random, shape)
    const fault: Fault = { site, effect: { kind: 'flip', bits: [random.integer(0, 31)] } }
    const left = await kernels.matmul(a, weights, { scheme: 'none', faults: [fault] })
    const at = site.row * n + site.column
    const change = Math.abs((left.output.data[at] as number) - (clean.output.data[at] as number))
    const { output, report } = await kernels.matmul(a, weights, { scheme: 'row-column', faults: [fault] })
    const restored = output.data.every((value, i) => Object.is(value, clean.output.data[i]))
    const named = report.detections.some(
      ({ region, outcome }) =>
        outcome === 'corrected' &&
        region.kind === 'element' &&
        region.row === site.row &&
        region.column === site.column,
    )
    if (change > clean.report.threshold.smallestDetectable || Number.isNaN(change)) {
      seen.above++
      if (named) seen.located++
      if (restored) seen.corrected++
    } else if (change > 0) {
      seen.below++
      if (restored) seen.foundBelow++
    }
    weights.release()
  }
  const emit = (metric: string, successes: number, of: number, target?: string) => {
    const share = wilson({ successes, trials: of })
    context.emit({
      case: `row-column, ${of} of ${trials} single faults`,
      metric,
      value: share.value,
      unit: '',
      ...bounds(share),
      ...(target !== undefined && { target }),
    })
  }
  emit('above threshold: element named', seen.located, seen.above, '1')
  emit('above threshold: output bit-identical', seen.corrected, seen.above, '1')
  emit('below threshold: corrected all the same', seen.foundBelow, seen.below)
}

/** One fault a product of int8 operands: found wherever it changes an output at all. */
export async function integers(context: BenchContext, kernels: Kernels): Promise<void> {
  const trials = context.quick ? 300 : 4000
  const seen = { checks: 0, alarms: 0, unmasked: 0, found: 0, corrected: 0 }
  for (let trial = 0; trial < trials; trial++) {
    const random = createRandom(context.seed).stream('int8', trial)
    const shape = shapeOf(random)
    const { m, k, n } = shape
    const bytes = (size: number) => Int8Array.from({ length: size }, () => random.integer(-128, 127))
    const a: Tensor = { data: bytes(m * k), shape: [m, k], dtype: 'int8' }
    const weights = await kernels.prepare({ data: bytes(k * n), shape: [k, n], dtype: 'int8' }, { kind: 'matmul-int8' })
    const clean = await kernels.matmulInt8(a, weights)
    seen.checks += clean.report.checks
    seen.alarms += clean.report.detections.length
    const fault: Fault = { site: siteIn(random, shape), effect: { kind: 'flip', bits: [random.integer(0, 31)] } }
    const left = await kernels.matmulInt8(a, weights, { scheme: 'none', faults: [fault] })
    if (left.output.data.some((value, i) => value !== clean.output.data[i])) {
      seen.unmasked++
      const { output, report } = await kernels.matmulInt8(a, weights, { faults: [fault] })
      if (report.detections.length > 0) seen.found++
      if (output.data.every((value, i) => value === clean.output.data[i])) seen.corrected++
    }
    weights.release()
  }
  const row = { case: `int8, ${trials} products` }
  context.emit({
    ...row,
    metric: 'alarms of clean rows',
    value: seen.alarms,
    unit: `in ${seen.checks} checks`,
    target: '0',
  })
  for (const [metric, successes] of [
    ['unmasked faults found', seen.found],
    ['output as if clean', seen.corrected],
  ] as const) {
    const share = wilson({ successes, trials: seen.unmasked })
    context.emit({ ...row, metric, value: share.value, unit: `of ${seen.unmasked}`, ...bounds(share), target: '1' })
  }
}
