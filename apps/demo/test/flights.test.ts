import { PassThrough } from 'node:stream'
import { createOutput } from '@ft/report'
import { expect, it } from 'vitest'
import { loadFlights } from '../src/steps/flights.ts'

it('takes all flights where more rows are asked for than there are', { timeout: 120_000 }, async () => {
  const output = createOutput({ stdout: new PassThrough(), stderr: new PassThrough(), quiet: true })
  const options = { rows: 3_000_000, seed: 1, quick: false, threads: 1 }
  const { flights, task } = await loadFlights({ options, output })
  expect(flights.rows).toBeGreaterThan(2_990_000)
  expect(task.rows).toBeGreaterThan(flights.rows - 100)
})
