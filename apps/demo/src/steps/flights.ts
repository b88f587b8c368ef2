// Step "flights": three million departures, and what was known at each of them.
import { formatCount } from '@ft/report'
import { flightTask, readFlights, type Flights, type FlightTask } from '@ft/datasets'
import type { Step, StepContext } from '../story.ts'

export interface FlightsLoaded {
  readonly flights: Flights
  readonly task: FlightTask
}

export async function loadFlights({
  options,
  output,
}: Pick<StepContext, 'options' | 'output'>): Promise<FlightsLoaded> {
  const flights = await readFlights({ onProgress: output.onProgress })
  const { rows, seed } = options
  // A few of the three million lie behind the last whole day: who asks for all of them gets all that the task has.
  const some = rows < flights.rows ? { rows } : {}
  const task = flightTask(flights, { ...some, seed, onProgress: output.onProgress })
  return { flights, task }
}

export const flightsStep: Step = {
  name: 'flights',
  title: 'Read the flights',
  async run({ output, flights }) {
    const { flights: all, task } = await flights()
    const late = (from: number, to: number) =>
      task.label.subarray(from, to).reduce((sum, label) => sum + label, 0) / (to - from)
    output.text(
      `${formatCount(all.rows)} flights of 2001. At the moment of departure: will this one arrive more than 15 minutes late? ` +
        'Features know only flights that have landed by then.',
    )
    output.table(
      (['train', 'validate', 'test'] as const).map((part) => ({ part, ...task.split[part] })),
      [
        { header: 'part', value: (row) => row.part },
        { header: 'rows', value: (row) => row.end - row.start, format: 'count' },
        { header: 'late', value: (row) => late(row.start, row.end), format: 'percent' },
      ],
    )
    return []
  },
}
