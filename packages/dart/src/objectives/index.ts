// Objectives by name, with the labels they take.
import { FtError } from '@ft/core'
import type { TrainOptions } from '../options.ts'
import { logistic, softmax } from './classification.ts'
import { lambdarank, type LambdaRankOptions } from './lambdarank.ts'
import { checkLabels, classesOf, isObjectiveName, MOST_CLASSES } from './labels.ts'
import { objectiveNames, type CustomObjective, type Objective, type ObjectiveName } from './objective.ts'
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
  if (!isObjectiveName(objective)) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `train: no objective ${String(objective)}; there are ${objectiveNames.join(', ')}, or one of your own`,
      { objective },
    )
  }
  const classes = options.classes ?? Math.min(classesOf(labels), MOST_CLASSES)
  checkLabels(labels, { objective, classes, where: 'train' })
  return createObjective(objective, { ...options, classes, ...(groups ? { groups } : {}) })
}

function customObjective(own: CustomObjective): Objective {
  const { name, derive, baseScore = 0, metric = 'rmse' } = own
  const fail = (what: string): FtError => new FtError('INVALID_ARGUMENT', `train: objective: ${what}`)
  if (typeof (name as unknown) !== 'string' || typeof (derive as unknown) !== 'function') {
    throw fail('one of your own has a name and a function derive')
  }
  // A model keeps the name alone, and answers by it.
  if (isObjectiveName(name)) throw fail(`'${name}' is one of this package; give your own another name`)
  if (!Number.isFinite(baseScore)) throw fail(`baseScore of ${name} is ${baseScore}; it must be finite`)
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
