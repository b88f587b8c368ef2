// The objective that a model's name speaks of, for answers and metrics.
import { createObjective } from './objectives/index.ts'
import { isObjectiveName } from './objectives/labels.ts'
import type { Objective } from './objectives/objective.ts'
import type { Model } from './model.ts'

/** A model's objective; undefined for a custom one. */
export function objectiveOf({ objective, parameters }: Model): Objective | undefined {
  return isObjectiveName(objective) ? createObjective(objective, parameters) : undefined
}
