// Objectives by name, with the labels they take.
import { FtError } from '@ft/core'
import type { TrainOptions } from '../options.ts'
import { logistic, softmax } from './classification.ts'
import { lambdarank, type LambdaRankOptions } from './lambdarank.ts'
import type { CustomObjective, Objective, ObjectiveName } from './objective.ts'
import { absolute, huber, poisson, quantile, squared } from './regression.ts'

/** Parameters of some objectives. */
export interface ObjectiveParameters extends Partial<LambdaRankOptions> {
  /** The quantile of 'quantile'. Default 0.5. */
  readonly alpha?: number
  /** Where 'huber' turns linear. Default 1. */
  readonly delta?: number
  readonly classes?: number
}

export function createObjective(name: ObjectiveName, parameters: ObjectiveParameters): Objective {
  const { alpha = 0.5, delta = 1, classes = 2 } = parameters
  switch (name) {
    case 'squared':
      return squared
    case 'absolute':
      return absolute
    case 'huber':
      return huber(delta)
    case 'quantile':
      return quantile(alpha)
    case 'poisson':
      return poisson
    case 'logistic':
      return logistic
    case 'softmax':
      return softmax(classes)
    case 'lambdarank':
      return lambdarank({ ...parameters, groups: parameters.groups ?? new Int32Array() })
    default:
      throw new FtError('INVALID_ARGUMENT', `train: no objective ${String(name satisfies never)}`, { objective: name })
  }
}

export function resolveObjective(
  options: TrainOptions,
  labels: Float64Array,
  groups: Int32Array | undefined,
): Objective {
  const { objective } = options
  if (typeof objective !== 'string') return customObjective(objective)
  const largest = labels.reduce((top, label) => Math.max(top, label), 0)
  const classes = options.classes ?? Math.max(2, largest + 1)
  checkLabels(objective, labels, classes)
  return createObjective(objective, { ...options, classes, ...(groups ? { groups } : {}) })
}

function customObjective({ name, derive, baseScore = 0, metric = 'rmse' }: CustomObjective): Objective {
  return {
    name,
    parameters: {},
    outputs: 1,
    metric,
    baseScores: () => Float64Array.of(baseScore),
    derive: ({ scores, labels, weights, gradients, hessians }) => {
      const [g, h] = [gradients[0]?.view() as Float64Array, hessians[0]?.view() as Float64Array]
      derive(scores[0]?.view() as Float64Array, labels.view(), g, h)
      const w = weights?.view()
      for (let row = 0; row < g.length; row++) {
        if (!Number.isFinite(g[row]) || !Number.isFinite(h[row])) {
          throw new FtError(
            'INVALID_ARGUMENT',
            `train: objective ${name} gave gradient ${g[row]}, hessian ${h[row]} at row ${row}`,
            { row },
          )
        }
        // Sums of hessians are unsigned: where a loss curves down there is no Newton step to take.
        if ((h[row] as number) < 0) h[row] = 0
        if (!w) continue
        g[row] = (g[row] as number) * (w[row] as number)
        h[row] = (h[row] as number) * (w[row] as number)
      }
    },
    answer: () => {},
  }
}

function checkLabels(objective: ObjectiveName, labels: Float64Array, classes: number): void {
  const fail = (row: number, expected: string): never => {
    throw new FtError(
      'INVALID_ARGUMENT',
      `train: label of row ${row} is ${labels[row]}; ${objective} takes ${expected}`,
      { row, label: labels[row] },
    )
  }
  for (let row = 0; row < labels.length; row++) {
    const label = labels[row] as number
    if (objective === 'logistic' && label !== 0 && label !== 1) fail(row, '0 and 1')
    if (objective === 'softmax' && !(Number.isInteger(label) && label >= 0 && label < classes))
      fail(row, `0 to ${classes - 1}`)
    if (objective === 'lambdarank' && !(Number.isInteger(label) && label >= 0 && label <= 31))
      fail(row, 'grades 0 to 31')
    if (objective === 'poisson' && label < 0) fail(row, 'counts of 0 and more')
  }
}
