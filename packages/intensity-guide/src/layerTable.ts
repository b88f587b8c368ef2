// A plan's layers as a table, on a terminal and on a page.
import type { PlannedLayer } from '@ft/core'
import type { Column } from '@ft/report'

/** Layers of one shape and scheme, shown together. */
export interface LayerLine {
  readonly first: PlannedLayer
  readonly times: number
}

export function distinctLayers(layers: readonly PlannedLayer[]): LayerLine[] {
  const groups = new Map<string, PlannedLayer[]>()
  for (const item of layers) {
    const { m, n, k, op } = item.layer
    const key = [m, n, k, item.scheme, item.bound, item.measured?.value, op.kind === 'matmul' ? op.batch : ''].join('/')
    groups.set(key, [...(groups.get(key) ?? []), item])
  }
  return [...groups.values()].map((group) => ({
    first: group[0] as PlannedLayer,
    times: group.reduce((sum, { layer }) => sum + layer.count, 0),
  }))
}

/** Columns of the table; measured overheads are one where there are any. */
export function layerColumns(layers: readonly PlannedLayer[]): Column<LayerLine>[] {
  const measured = layers.some((layer) => layer.measured)
  return [
    { header: 'layer', value: ({ first, times }) => (times > 1 ? `${first.id} and ${times - 1} like it` : first.id) },
    { header: 'm x n x k', value: ({ first }) => shape(first), align: 'right' },
    { header: 'FLOP/B', value: ({ first }) => first.intensity, digits: 4 },
    { header: 'bound', value: ({ first }) => first.bound },
    { header: 'scheme', value: ({ first }) => first.scheme },
    { header: 'predicted', value: ({ first }) => first.predictedOverhead, format: 'percent', digits: 3 },
    ...(measured
      ? [{ header: 'measured', value: ({ first }: LayerLine) => first.measured, format: 'percent' as const }]
      : []),
    {
      header: 'sees from',
      unit: 'rms',
      value: ({ first }) => (first.scheme === 'none' ? null : first.smallestDetectable),
      digits: 2,
    },
    { header: 'next best', value: ({ first }) => nextBest(first) },
  ]
}

function shape({ layer: { m, n, k, op } }: PlannedLayer): string {
  const batch = op.kind === 'matmul' && op.batch > 1 ? `${op.batch} of ` : ''
  return `${batch}${m} x ${n} x ${k}`
}

function nextBest({ alternatives }: PlannedLayer): string {
  const [best, ...others] = alternatives
  if (!best) return '-'
  const { scheme, overhead } = others.reduce((a, b) => (b.overhead < a.overhead ? b : a), best)
  return `${scheme} ${(100 * overhead).toPrecision(3)} %`
}
