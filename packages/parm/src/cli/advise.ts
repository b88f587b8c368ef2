// `parm advise trace.csv`: which redundancy a service should use, and why.
import { readFile } from 'node:fs/promises'
import { FtError } from '@ft/core'
import { table } from '@ft/report'
import { advise, type AdviseOptions } from '../simulation/advise.ts'
import { parseTrace } from '../simulation/trace.ts'

export async function printAdvice(file: string, options: AdviseOptions & { readonly json: boolean }): Promise<void> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new FtError('IO', `cannot read the trace ${file}`, { file }, { cause })
  })
  const advice = await advise(parseTrace(text), options)
  if (options.json) return console.log(JSON.stringify(advice))
  const { found, choices } = advice
  console.log(
    `${found.ratePerSecond.toFixed(1)} requests/s, median ${found.medianMs.toFixed(1)} ms, ${(100 * found.lateShare).toFixed(2)} % late, instances ${(100 * found.utilisation).toFixed(0)} % busy; simulated with seed ${options.seed}:`,
  )
  console.log(
    table(choices, [
      { header: 'choice', value: ({ name }) => name },
      { header: 'extra instances', value: ({ extraInstances }) => extraInstances, format: 'count' },
      { header: 'p50', unit: 'ms', value: ({ p50 }) => p50 },
      { header: 'p99', unit: 'ms', value: ({ p99 }) => p99 },
      { header: 'p99.9', unit: 'ms', value: ({ p999 }) => p999 },
      { header: 'approximate', value: ({ reconstructed }) => reconstructed, format: 'percent' },
      { header: 'extra units', value: ({ extraUnits }) => extraUnits, format: 'percent' },
    ]),
  )
  console.log(`use: ${advice.recommended}. ${advice.why}.`)
}
