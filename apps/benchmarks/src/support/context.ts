// What the command line asks for, as a bench sees it; its lines go to standard output.
import { join } from 'node:path'
import process from 'node:process'
import { formatNumber } from '@ft/report'
import type { BenchContext, BenchLine } from '../bench.ts'

export interface Flags {
  readonly quick: boolean
  readonly json: boolean
  readonly seed: number
  readonly case?: string
  readonly resume?: string
}

export function createContext(
  name: string,
  { quick, json, seed, case: part, resume }: Flags,
  device: string,
): BenchContext {
  return {
    quick,
    seed,
    part,
    checkpoint: (training) => (resume === undefined ? undefined : join(resume, training.replaceAll(' ', '-'))),
    wants: (one) => part === undefined || one === part,
    emit: (line) =>
      process.stdout.write(`${json ? JSON.stringify({ bench: name, ...line, seed, device }) : describe(line)}\n`),
    note: (text) =>
      json
        ? process.stdout.write(`${JSON.stringify({ bench: name, note: text })}\n`)
        : process.stderr.write(`${text}\n`),
  }
}

function describe({ case: what, metric, value, unit, baseline, ratio, low, high, target }: BenchLine): string {
  const interval = low === undefined || high === undefined ? '' : ` [${formatNumber(low)}, ${formatNumber(high)}]`
  const compared =
    baseline === undefined || ratio === undefined ? interval : `  ${formatNumber(ratio)} x ${baseline.case}${interval}`
  return `${what.padEnd(44)} ${metric.padEnd(22)} ${formatNumber(value)} ${unit}${compared}${target ? `   (target: ${target})` : ''}`
}
