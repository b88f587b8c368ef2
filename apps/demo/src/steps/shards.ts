// Step "shards": a DLRM of late arrivals on five shard processes, one of which is killed for real in mid-run.
import type { Interval } from '@ft/core'
import { aucDifference, aucInterval, logLossInterval, mean, median } from '@ft/core/statistics'
import { wastedTime } from '@ft/ecrm'
import { formatDuration, formatPercent } from '@ft/report'
import type { FlightTask } from '@ft/datasets'
import { BATCH, runOnce, WIDTH, type Run } from '../dlrm.ts'
import type { ChartSpec } from '@ft/report/charts'
import { levelRates } from '../rates.ts'
import { exactly, type Claim, type Step, type StepContext } from '../story.ts'

export const shardsStep: Step = {
  name: 'shards',
  title: 'Train on five shard processes while one of them is killed',
  async run({ options, output, flights, dlrm, chart }) {
    const { task } = await flights()
    const { learn, test, epochs, steps, twin } = await dlrm()
    const killAt = Math.floor(steps * 0.4)
    const go = (phase: string, r: 0 | 1, kill?: number) =>
      runOnce({ learn, test, epochs, seed: options.seed, r, output, phase, ...(kill === undefined ? {} : { kill }) })
    const bare = await go('without redundancy', 0)
    const killed = await go('one server killed', 1, killAt)

    const labels = task.label.subarray(task.split.test.start, task.split.test.end)
    const differing = different(twin, killed)
    const longest = Math.max(...killed.gaps)
    const usual = Math.max(...twin.gaps)
    const perStep = (run: Run) => run.gaps.reduce((sum, gap) => sum + gap, 0) / run.gaps.length
    const embeddings = learn.categorical.reduce((sum, { size }) => sum + size, 0)
    output.text(
      `${embeddings.toLocaleString('en-US')} embeddings of width ${WIDTH} with Adagrad, ${steps} steps of ${BATCH} flights; ` +
        `server 2 got SIGKILL at step ${killAt}.`,
    )
    output.table(
      [
        { run: 'no redundancy (r = 0)', of: bare, differing: null },
        { run: 'erasure-coded (k = 4, r = 1), never failed', of: twin, differing: null },
        { run: 'the same, one server killed', of: killed, differing },
      ],
      [
        { header: 'run', value: (row) => row.run },
        { header: 'AUC', value: (row) => aucInterval({ scores: row.of.probabilities, labels }), digits: 4 },
        {
          header: 'log loss',
          value: (row) => logLossInterval({ probabilities: row.of.probabilities, labels }),
          digits: 4,
        },
        { header: 'a step', unit: 'ms', value: (row) => perStep(row.of), digits: 3 },
        { header: 'longest gap', unit: 'ms', value: (row) => Math.max(...row.of.gaps), digits: 3 },
        { header: 'servers replaced', value: (row) => row.of.replacements, format: 'plain' },
        { header: 'rows lost', value: (row) => row.of.lost, format: 'plain' },
        { header: 'numbers unlike the twin’s', value: (row) => row.differing, format: 'plain' },
      ],
    )
    showFailureCosts(output, { bare, twin, killed })
    chart(
      lossCurves(
        [
          ['never failed', twin],
          ['one server killed', killed],
        ],
        killAt,
      ),
    )
    output.result({
      step: 'shards',
      steps,
      killAt,
      differing,
      longestGapMs: longest,
      usualGapMs: usual,
      lost: killed.lost,
    })
    return claims({ task, labels, killed, differing, pause: longest - usual })
  },
}

/** What failures cost by what was measured here: throughput while recovering, and coding against checkpoints. */
function showFailureCosts(
  output: StepContext['output'],
  { bare, twin, killed }: Readonly<Record<'bare' | 'twin' | 'killed', Run>>,
): void {
  const { recovery } = killed
  if (!recovery || recovery.gaps.length === 0) return
  const typical = median(twin.gaps)
  const throughput = typical / mean(recovery.gaps)
  const overhead = Math.max(0, typical / median(bare.gaps) - 1)
  output.text(
    `Full redundancy was back ${formatDuration(recovery.ms)} after the kill; meanwhile steps came at ${formatPercent(throughput)} of their usual rate ` +
      `(${recovery.gaps.length} steps). A whole checkpoint of this model takes ${formatDuration(bare.checkpointMs)}. All servers share this machine’s cores with the trainer, which makes coding dear. By these measurements, wasted time at different rates of failure:`,
  )
  const rows = [1, 60, 24 * 60].map((minutes) => {
    const wasted = wastedTime({
      meanTimeBetweenFailures: minutes * 60_000,
      checkpoint: { stall: bare.checkpointMs },
      coding: { overhead, rebuild: recovery.ms, slowdown: Math.min(1, Math.max(0, 1 - throughput)) },
    })
    return { minutes, ...wasted }
  })
  output.table(rows, [
    { header: 'a failure every', value: (row) => row.minutes * 60_000, format: 'duration', align: 'right' },
    { header: 'best interval of checkpoints', value: (row) => row.interval, format: 'duration', align: 'right' },
    { header: 'wasted by checkpoints', value: (row) => row.checkpoint, format: 'percent' },
    { header: 'wasted by coding', value: (row) => row.coding, format: 'percent' },
    { header: 'coding pays from a stall of', value: (row) => row.breakEvenStall, format: 'duration', align: 'right' },
  ])
  output.result({
    step: 'shards',
    recoveryMs: recovery.ms,
    recoveryThroughput: throughput,
    overhead,
    checkpointMs: bare.checkpointMs,
  })
}

function lossCurves(runs: readonly (readonly [name: string, run: Run])[], killAt: number): ChartSpec {
  return {
    title: 'Loss while training',
    subtitle: 'Mean of 20 steps; the two runs have the same bits, so their lines lie on each other',
    x: { label: 'step' },
    y: { label: 'log loss' },
    marks: [{ axis: 'x', value: killAt, label: 'SIGKILL' }],
    series: runs.map(([name, { trained }]) => ({ kind: 'line', name, points: smooth(trained.history, 20) })),
  }
}

function smooth(history: Run['trained']['history'], width: number): { x: number; y: number }[] {
  const points = []
  for (let first = 0; first + width <= history.length; first += width) {
    const part = history.slice(first, first + width)
    points.push({ x: first + width / 2, y: part.reduce((sum, { loss }) => sum + loss, 0) / width })
  }
  return points
}

/** Bits that differ between two runs: dense parameters, embeddings, their optimizer state and versions. */
function different(a: Run, b: Run): number {
  const unlike = (x: ArrayLike<number>, y: ArrayLike<number>) => {
    let count = Math.abs(x.length - y.length)
    for (let i = 0; i < x.length; i++) if (!Object.is(x[i], y[i])) count++
    return count
  }
  const dense = a.trained.model.parameters.reduce(
    (sum, values, i) => sum + unlike(values, b.trained.model.parameters[i] ?? []),
    0,
  )
  return dense + unlike(a.snapshot.words, b.snapshot.words) + unlike(a.snapshot.versions, b.snapshot.versions)
}

interface Measured {
  readonly task: FlightTask
  readonly labels: Uint8Array
  readonly killed: Run
  readonly differing: number
  /** Milliseconds by which the longest gap exceeds the never-failed run's. */
  readonly pause: number
}

function claims({ task, labels, killed, differing, pause }: Measured): Claim[] {
  const byHour = levelRates(task, 'hourOfWeek').subarray(task.split.test.start, task.split.test.end)
  const better: Interval = aucDifference({ first: killed.probabilities, second: byHour, labels })
  return [
    {
      text: 'the killed run ends with the bits of the never-failed one (numbers that differ)',
      measured: exactly(differing),
      below: 0.5,
    },
    { text: 'no embedding row is lost', measured: exactly(killed.lost), below: 0.5 },
    {
      text: 'the kill lengthens the longest gap between two steps by less than a second (ms)',
      measured: exactly(pause),
      below: 1000,
    },
    { text: 'the DLRM beats the hour of the week (AUC difference)', measured: better, above: 0 },
  ]
}
