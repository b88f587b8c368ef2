// Labels that an objective takes: of training, and of whatever it is judged by.
import { FtError } from '@ft/core'
import { objectiveNames, type ObjectiveName } from './objective.ts'

/** Most classes: each costs a tree a round. */
export const MOST_CLASSES = 65_535

/** Classes of labels where none are given: one more than the largest, at least two. */
export function classesOf(labels: Float64Array): number {
  return Math.max(2, labels.reduce((top, label) => Math.max(top, label), 0) + 1)
}

/**
 * Checks labels; a custom objective takes any.
 *
 * @param given.classes - of 'softmax'
 * @throws FtError `INVALID_ARGUMENT` naming the row
 */
export function checkLabels(
  labels: Float64Array,
  { objective, classes, where }: { objective: string; classes: number; where: string },
): void {
  const expected = expectedOf(objective, classes)
  if (!expected) return
  const row = labels.findIndex((label) => !expected.fits(label))
  if (row < 0) return
  throw new FtError(
    'INVALID_ARGUMENT',
    `${where}: label of row ${row} is ${labels[row]}; ${objective} takes ${expected.words}`,
    { row, label: labels[row] },
  )
}

function expectedOf(objective: string, classes: number): { words: string; fits(label: number): boolean } | undefined {
  const upTo = (most: number) => (label: number) => Number.isInteger(label) && label >= 0 && label <= most
  switch (objective) {
    case 'logistic':
      return { words: '0 and 1', fits: upTo(1) }
    case 'softmax':
      return { words: `0 to ${classes - 1}`, fits: upTo(classes - 1) }
    case 'lambdarank':
      return { words: 'grades 0 to 31', fits: upTo(31) }
    case 'poisson':
      return { words: 'counts of 0 and more', fits: (label) => label >= 0 }
    default:
      return undefined
  }
}

/** Whether a name is that of an objective of this package. */
export function isObjectiveName(name: unknown): name is ObjectiveName {
  return (objectiveNames as readonly unknown[]).includes(name)
}
