// Square products under every scheme: where one scheme becomes cheaper than another.
import type { LinearLayer, LayerRunner } from '@ft/core'
import { distinguishable, ratioInterval } from '@ft/core/statistics'
import { overheadOf, profileLayers, type Arm, type ProfiledShape } from '@ft/intensity-guide'
import { bounds, type BenchContext } from './bench.ts'
import type { Clock } from './support/clock.ts'

const sizes = [32, 64, 128, 256, 512, 1024, 2048]

export async function squareSweep(
  context: BenchContext,
  { runner, clock }: { runner: LayerRunner; clock: Clock },
): Promise<void> {
  const layers = sizes.filter((size) => !context.quick || size <= 1024).map(square)
  const profile = await profileLayers(layers, {
    runner,
    seed: context.seed,
    rounds: context.quick ? 12 : 20,
    shortestMs: 2,
    chained: () => true,
    now: clock.now,
  })
  for (const shape of profile.shapes) {
    for (const arm of Object.keys(shape.times) as Arm[]) {
      if (arm === 'none') continue
      const overhead = overheadOf(shape, { arm })
      context.emit({
        case: `${shape.layer.m} cubed`,
        metric: arm,
        value: 100 * overhead.value,
        unit: '%',
        low: 100 * overhead.low,
        high: 100 * overhead.high,
        n: overhead.n,
        ...(arm === 'control' ? { target: 'interval holds 0' } : {}),
      })
    }
  }
  for (const [a, b] of [
    ['global', 'thread-one-sided'],
    ['row', 'thread-one-sided'],
    ['global', 'row'],
  ] as const)
    crossing(context, profile.shapes, { a, b })
}

/** Says at which sizes the cheaper of two schemes changes, counting only sizes where they can be told apart. */
function crossing(context: BenchContext, shapes: readonly ProfiledShape[], { a, b }: { a: Arm; b: Arm }): void {
  let before: { size: number; cheaper: Arm } | undefined
  let crossings = 0
  for (const { layer, times } of shapes) {
    const ratio = ratioInterval((times[a] ?? []).map((value, i) => ({ value, baseline: times[b]?.[i] as number })))
    const verdict = distinguishable(ratio, 1)
    context.emit({ case: `${layer.m} cubed`, metric: `${a} / ${b}`, value: ratio.value, unit: 'x', ...bounds(ratio) })
    if (verdict === 'not distinguishable') continue
    const cheaper = verdict === 'lower' ? a : b
    if (before && before.cheaper !== cheaper) {
      crossings += 1
      context.note(`crossing: ${before.cheaper} is cheaper at ${before.size}, ${cheaper} at ${layer.m}`)
    }
    before = { size: layer.m, cheaper }
  }
  if (crossings > 0) return
  context.note(
    before
      ? `no crossing of ${a} and ${b}: ${before.cheaper} is the cheaper wherever they can be told apart`
      : `${a} and ${b} are not distinguishable at any size`,
  )
}

function square(size: number): LinearLayer {
  return { id: `${size}`, m: size, n: size, k: size, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } }
}
