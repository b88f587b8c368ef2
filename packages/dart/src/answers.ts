// The objective that a model's name speaks of, for answers and metrics.
import { createObjective } from './objectives/index.ts'
import { objectiveNames, type Objective, type ObjectiveName } from './objectives/objective.ts'
import type { Model } from './model.ts'

/** A model's objective; undefined for a custom one. */
export function objectiveOf({ objective, parameters }: Model): Objective | undefined {
  return (objectiveNames as readonly string[]).includes(objective)
    ? createObjective(objective as ObjectiveName, parameters)
    : undefined
}
