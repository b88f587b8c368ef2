// `ecrm advise`: checkpoints or coding, for these costs.
import { bars, formatPercent, type Output } from '@ft/report'
import { simulateFailures } from '../advisor/simulateFailures.ts'
import { wastedTime, type WastedTimeOptions } from '../advisor/wastedTime.ts'

export interface AdviseFlags {
  /** Hours between failures of the job, several. */
  readonly mtbf: readonly number[]
  /** Minutes. */
  readonly stall: number
  readonly reload?: number
  readonly rebuild: number
  /** Parts. */
  readonly overhead: number
  readonly slowdown: number
  readonly seed: number
  readonly runs: number
}

export function runAdvise(flags: AdviseFlags, { output, command }: { output: Output; command?: string }): void {
  const { stall, reload = stall, rebuild, overhead, slowdown, seed, runs } = flags
  output.settings('Checkpoints or coding', { stall, reload, rebuild, overhead, slowdown, seed })
  const rows = flags.mtbf.map((hours) => {
    const of = (interval?: number): WastedTimeOptions => ({
      meanTimeBetweenFailures: hours * 60,
      checkpoint: { stall, reload, ...(interval === undefined ? {} : { interval }) },
      coding: { overhead, rebuild, slowdown },
    })
    const simulated = simulateFailures({ ...of(), seed, runs })
    const row = { hours, best: wastedTime(of()), every30: wastedTime(of(30)), every60: wastedTime(of(60)), simulated }
    output.result({ type: 'advice', ...row })
    return row
  })
  output.table(rows, [
    { header: 'failure every', unit: 'h', value: ({ hours }) => hours },
    { header: 'best interval', unit: 'min', value: ({ best }) => best.interval, digits: 3 },
    { header: 'wasted at it', value: ({ best }) => best.checkpoint, format: 'percent' },
    { header: 'every 30 min', value: ({ every30 }) => every30.checkpoint, format: 'percent' },
    { header: 'every 60 min', value: ({ every60 }) => every60.checkpoint, format: 'percent' },
    { header: 'coding', value: ({ best }) => best.coding, format: 'percent' },
    { header: 'simulated: best interval', value: ({ simulated }) => simulated.checkpoint, format: 'percent' },
    { header: 'simulated: coding', value: ({ simulated }) => simulated.coding, format: 'percent' },
  ])
  output.text(
    bars(
      rows.flatMap(({ hours, best }) => [
        { label: `${hours} h, checkpoints`, value: best.checkpoint },
        { label: `${hours} h, coding`, value: best.coding },
      ]),
    ),
  )
  for (const { hours, best } of rows)
    output.conclusion(
      best.choose === 'coding'
        ? `A failure every ${hours} h: coding wastes ${formatPercent(best.saved)} less.`
        : `A failure every ${hours} h: checkpoints, as long as one stalls training for less than ${best.breakEvenStall.toFixed(1)} min.`,
    )
  if (command !== undefined) output.conclusion('', { repeat: command })
}
