// From alarms to a report: every flagged row settled once.
import { assertOneOf, FtError, invalidArgument, type ProtectionScheme } from '@ft/core'
import type { Alarm, Judgement } from './checks.ts'
import { rowsOf, settleRow, type RowAccess } from './recompute.ts'
import { statusOf, type Detection, type Outcome, type Report, type Threshold } from './report.ts'

export type OnFault = 'correct' | 'report' | 'throw'

const answers: readonly OnFault[] = ['correct', 'report', 'throw']

/** @throws FtError `INVALID_ARGUMENT` for another one: a fault would be left in silence */
export function assertOnFault(onFault: OnFault, where: string): void {
  if (!answers.includes(onFault)) assertOneOf(onFault, { where, argument: 'options.onFault', values: answers })
}

/** @throws FtError `INVALID_ARGUMENT` unless it is a chance above 0 and below 1 */
export function assertChance(probability: number, where: string): void {
  if (!(typeof probability === 'number' && probability > 0 && probability < 1))
    throw invalidArgument({ where, argument: 'options.falseAlarmProbability' }, 'above 0 and below 1', probability)
}

export interface SettleInput {
  readonly judgement: Judgement
  readonly scheme: ProtectionScheme
  /** Asked for when there is something to settle. */
  readonly access: () => RowAccess
  readonly m: number
  readonly n: number
  readonly onFault: OnFault
  readonly where: string
}

/** The gravest of several rows' outcomes stands for their region. */
const gravity: readonly Outcome[] = [
  'false-alarm',
  'check-fault',
  'restored',
  'corrected',
  'reported',
  'input',
  'uncorrectable',
]

/** What a product without alarms says, at once: nearly every product has none, and small ones are over in microseconds. */
export function settle(input: SettleInput): Report | Promise<Report> {
  const { judgement, scheme } = input
  if (judgement.alarms.length > 0) return settleAlarms(input)
  return {
    status: 'clean',
    scheme,
    checks: judgement.checks,
    threshold: thresholdOf(judgement),
    detections: [],
    recomputed: 0,
  }
}

async function settleAlarms(input: SettleInput): Promise<Report> {
  const { judgement, scheme, m, n, onFault } = input
  const access = input.access()
  const settled = new Map<string, Outcome>()
  const detections: Detection[] = []
  for (const alarm of judgement.alarms) {
    let worst: Outcome = 'false-alarm'
    for (const row of rowsOf(alarm, m)) {
      const key = `${alarm.item}/${row}`
      const outcome = settled.get(key) ?? (await settleRow(access, alarm.item, row, onFault === 'correct'))
      settled.set(key, outcome)
      if (gravity.indexOf(outcome) > gravity.indexOf(worst)) worst = outcome
    }
    // A hard threshold is never exceeded by rounding: where the output is right, the sums themselves were struck.
    if (
      worst === 'false-alarm' &&
      (judgement.policy.kind === 'hard' || judgement.policy.kind === 'exact' || isFar(alarm))
    )
      worst = 'check-fault'
    detections.push({ ...alarm, outcome: worst })
  }
  if (onFault === 'correct') detections.push(...(await settleNeighbours({ access, m }, settled)))
  const report: Report = {
    status: statusOf(detections),
    scheme,
    checks: judgement.checks,
    threshold: thresholdOf(judgement),
    detections,
    recomputed: settled.size * n,
  }
  if (onFault === 'throw' && report.status !== 'clean') throw faultDetected(input.where, report)
  return report
}

function thresholdOf({ policy, largest, smallest }: Judgement): Threshold {
  const { kind, falseAlarmProbability } = policy
  return { kind, largest, falseAlarmProbability, smallestDetectable: smallest }
}

/**
 * Several wrong rows of one product have a common cause, such as a packed weight that was wrong for a while: it changed
 * other rows too, by less than their thresholds. All of them are run again.
 *
 * @returns those that could not be put right, which no check had flagged
 */
async function settleNeighbours(
  { access, m }: { access: RowAccess; m: number },
  settled: Map<string, Outcome>,
): Promise<Detection[]> {
  const found: Detection[] = []
  const corrected = new Map<number, number>()
  for (const [key, outcome] of settled) {
    const item = Number(key.split('/')[0])
    if (outcome === 'corrected') corrected.set(item, (corrected.get(item) ?? 0) + 1)
  }
  for (const [item, rows] of corrected) {
    if (rows < 2) continue
    for (let row = 0; row < m; row++) {
      const key = `${item}/${row}`
      if (settled.has(key)) continue
      const outcome = await settleRow(access, item, row, true)
      settled.set(key, outcome)
      // Its check had passed: there is no residual above a threshold to tell.
      if (outcome === 'uncorrectable')
        found.push({ item, region: { kind: 'row', row }, residual: 0, threshold: 0, outcome })
    }
  }
  return found
}

/** Rounding reaches a few times a statistical threshold on hostile data, never a hundred times. */
const FAR = 100

/** Thresholds of a right output are finite: one that is not was itself struck. */
function isFar({ residual, threshold }: Alarm): boolean {
  return residual > FAR * threshold || !Number.isFinite(threshold)
}

/** The error of a product that failed its checks; throw it. */
export function faultDetected(where: string, report: Report): FtError {
  const [first] = report.detections.filter(
    (detection) => detection.outcome !== 'false-alarm' && detection.outcome !== 'check-fault',
  )
  return new FtError(
    'FAULT_DETECTED',
    `${where}: ${report.detections.length} checks failed; first: ${JSON.stringify(first?.region)} with residual ` +
      `${first?.residual.toPrecision(3)} above ${first?.threshold.toPrecision(3)}`,
    { report },
  )
}
