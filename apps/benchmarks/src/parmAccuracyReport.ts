// The lines of bench "parm-accuracy" for one code on one task: means over seeds.
import type { Accuracy } from '@ft/parm'
import type { BenchContext } from './bench.ts'

export function reportAccuracy(
  context: BenchContext,
  { name, all, target }: { name: string; all: readonly Accuracy[]; target?: string | undefined },
): void {
  const percent = (of: (accuracy: Accuracy) => number) =>
    (100 * all.reduce((total, accuracy) => total + of(accuracy), 0)) / all.length
  const common = { case: name, unit: '%', n: all.length }
  const degraded = all.map((accuracy) => 100 * accuracy.degraded)
  const value = percent(({ degraded: share }) => share)
  const available = percent((accuracy) => accuracy.available)
  context.emit({
    ...common,
    metric: 'degraded',
    value,
    baseline: { case: 'base', value: available },
    ratio: value / available,
    ...(target === undefined ? {} : { target }),
  })
  if (all.length > 1) context.emit({ ...common, metric: 'degraded, lowest seed', value: Math.min(...degraded) })
  all[0]?.degradedByPosition.forEach((_, i) =>
    context.emit({
      ...common,
      metric: `degraded, position ${i}`,
      value: percent((accuracy) => accuracy.degradedByPosition[i] ?? 0),
    }),
  )
  reportPatterns(context, { name, all })
  all[0]?.overall.forEach(({ unavailable }, i) =>
    context.emit({
      ...common,
      metric: `overall, ${100 * unavailable} % lost`,
      value: percent((accuracy) => accuracy.overall[i]?.coded ?? 0),
      baseline: { case: 'default answer', value: percent((accuracy) => accuracy.overall[i]?.defaultAnswer ?? 0) },
    }),
  )
  // What a constant answer scores, from its share of the overall figure
  const mixed = all[0]?.overall.at(-1)
  if (mixed) {
    const f = mixed.unavailable
    const constant = percent((a) => ((a.overall.at(-1)?.defaultAnswer ?? 0) - (1 - f) * a.available) / f)
    const gain = (value - constant) / (available - constant)
    context.emit({ case: name, metric: 'of what base gains over a constant answer', value: gain, unit: '' })
  }
}

/** What is left when several units are lost: of each number of them the mean over patterns, and every pattern. */
function reportPatterns(context: BenchContext, { name, all }: { name: string; all: readonly Accuracy[] }): void {
  const mean = (of: (accuracy: Accuracy) => number | undefined) =>
    (100 * all.reduce((total, accuracy) => total + (of(accuracy) ?? 0), 0)) / all.length
  const emit = (metric: string, value: number) => context.emit({ case: name, unit: '%', n: all.length, metric, value })
  all[0]?.degradedByLosses.forEach((_, more) => {
    if (more === 0) return
    emit(
      `degraded, ${more + 1} units lost`,
      mean((accuracy) => accuracy.degradedByLosses[more]),
    )
    all[0]?.patterns.forEach(({ missing }, i) => {
      if (missing.length !== more + 1) return
      emit(
        `degraded, units ${missing.join(' and ')} lost`,
        mean((accuracy) => accuracy.patterns[i]?.degraded),
      )
    })
  })
}
