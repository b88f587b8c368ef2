// What Node and a page's worker both train on. Sums and products only: Math.sin and powers differ from engine to engine.
import type { TrainInput, TrainOptions } from '../../src/index.ts'
import { makeData, type Made } from './made.ts'

function plain({ features, list }: Made): Pick<TrainInput, 'features' | 'label'> {
  return { features, label: list.map(([a = 0, b = 0, c = 0]) => 8 * (a || 0.5) * (b || 0.5) + (c || 0.5)) }
}

export const workerInput = (): TrainInput => ({
  ...plain(makeData(300, { missing: 0.1 })),
  validation: plain(makeData(100, { seed: 2 })),
})

export const workerOptions: TrainOptions = {
  objective: 'squared',
  rounds: 30,
  dropout: { dropRate: 0.2 },
  rowFraction: 0.8,
}
