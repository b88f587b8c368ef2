// Baselines of late arrival: the share of late flights overall and by hour of the week, and rates as features.
import type { FlightTask } from '@ft/datasets'

/** Rows that a level's rate borrows from the overall rate: rare routes must not look certain. */
const PRIOR_ROWS = 50

/** The training share of late flights, for every row. */
export function baseRate({ label, split }: FlightTask): number {
  return (
    label.subarray(split.train.start, split.train.end).reduce((sum, value) => sum + value, 0) /
    (split.train.end - split.train.start)
  )
}

/** Late rate of each row's level over the training rows, smoothed towards the overall rate: judged on later rows only. */
export function levelRates(task: FlightTask, column: string): Float64Array {
  const { ids, size } = columnOf(task, column)
  const overall = baseRate(task)
  const [late, count] = [new Float64Array(size), new Float64Array(size)]
  for (let row = task.split.train.start; row < task.split.train.end; row++) {
    const id = ids[row] as number
    late[id] = (late[id] as number) + (task.label[row] as number)
    count[id] = (count[id] as number) + 1
  }
  return Float64Array.from(
    ids,
    (id) => ((late[id] as number) + PRIOR_ROWS * overall) / ((count[id] as number) + PRIOR_ROWS),
  )
}

/** Where the running overall rate starts: about what any month has. */
const FIRST_RATE = 0.2

/**
 * The same as a feature for learning: a training row's rate, and the overall rate it is smoothed towards, count only rows
 * before it, so that no row sees its own label. Validation and test rows get the rate over all training rows.
 */
export function orderedRates(task: FlightTask, column: string): Float64Array {
  const { ids, size } = columnOf(task, column)
  const [late, count] = [new Float64Array(size), new Float64Array(size)]
  let allLate = PRIOR_ROWS * FIRST_RATE
  let all = PRIOR_ROWS
  return Float64Array.from(ids, (id, row) => {
    const rate = ((late[id] as number) + (PRIOR_ROWS * allLate) / all) / ((count[id] as number) + PRIOR_ROWS)
    if (row < task.split.train.end) {
      const label = task.label[row] as number
      late[id] = (late[id] as number) + label
      count[id] = (count[id] as number) + 1
      allLate += label
      all++
    }
    return rate
  })
}

function columnOf(task: FlightTask, name: string): { ids: Int32Array; size: number } {
  const column = task.categorical.find((item) => item.name === name)
  if (!column) throw new Error(`the task has no column ${name}`)
  return column
}
