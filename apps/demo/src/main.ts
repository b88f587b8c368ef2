// npm run demo: the steps in order, then one table of what they claim and what was measured here.
import { availableParallelism } from 'node:os'
import process from 'node:process'
import { Command, InvalidArgumentError } from 'commander'
import { createOutput, formatDuration, terminalFromEnvironment } from '@ft/report'
import { trainDlrm, type Dlrm } from './dlrm.ts'
import { chooseStep } from './steps/choose.ts'
import { flightsStep, loadFlights, type FlightsLoaded } from './steps/flights.ts'
import { networkStep } from './steps/network.ts'
import { protectStep } from './steps/protect.ts'
import { shardsStep } from './steps/shards.ts'
import { rankStep } from './steps/rank.ts'
import { serveStep } from './steps/serve.ts'
import { treesStep } from './steps/trees.ts'
import { trainNetwork, type TrainedNetwork } from './trainNetwork.ts'
import { verdictOf, type Claim, type Step, type StepContext } from './story.ts'

const steps: readonly Step[] = [
  flightsStep,
  shardsStep,
  networkStep,
  chooseStep,
  protectStep,
  serveStep,
  treesStep,
  rankStep,
]

interface Flags {
  readonly rows?: number
  readonly seed: number
  readonly quick: boolean
  readonly only?: string
  readonly json: boolean
}

const DEFAULT_ROWS = 300_000
const QUICK_ROWS = 100_000

const program = new Command('demo')
  .description('Fault tolerance for machine learning, on three million flights')
  .option('--rows <n>', `rows of the task; default ${DEFAULT_ROWS}, with --quick ${QUICK_ROWS}`, wholeNumber)
  .option('--seed <n>', 'seed of everything random', wholeNumber, 1)
  .option('--quick', 'smaller and shorter', false)
  .option('--only <step>', `one step: ${steps.map((step) => step.name).join(', ')}`)
  .option('--json', 'one JSON object a line', false)
  .addHelpText('after', '\nExamples:\n  npm run demo -- --quick\n  npm run demo -- --only trees --rows 1000000')

process.exitCode = await main(program.parse().opts<Flags>())

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('must be a whole number above 0')
  return value
}

async function main(flags: Flags): Promise<number> {
  const { json, seed, quick, only } = flags
  const chosen = only === undefined ? steps : steps.filter((step) => step.name === only)
  if (chosen.length === 0) program.error(`no step ${only ?? ''}; steps: ${steps.map((step) => step.name).join(', ')}`)
  const output = createOutput({
    stdout: process.stdout,
    stderr: process.stderr,
    json,
    ...terminalFromEnvironment({ json }),
  })
  const rows = flags.rows ?? (quick ? QUICK_ROWS : DEFAULT_ROWS)
  const options = { rows, seed, quick, threads: Math.min(2, availableParallelism()) }
  let loaded: Promise<FlightsLoaded> | undefined
  let trained: Promise<TrainedNetwork> | undefined
  let dlrm: Promise<Dlrm> | undefined
  const flights = () => (loaded ??= loadFlights({ options, output }))
  const context: StepContext = {
    options,
    output,
    flights,
    network: () => (trained ??= flights().then(({ task }) => trainNetwork(task, { options, output }))),
    dlrm: () => (dlrm ??= flights().then(({ task }) => trainDlrm(task, { options, output }))),
    chart: () => undefined,
  }
  output.settings('@ft demo', { ...options, node: process.version })
  const begun = performance.now()
  const claims: (Claim & { step: string })[] = []
  let broken = 0
  for (const [index, step] of chosen.entries()) {
    const started = performance.now()
    output.text(`\n${index + 1}/${chosen.length}  ${step.title}\n`)
    try {
      for (const claim of await step.run(context)) claims.push({ ...claim, step: step.name })
    } catch (error) {
      broken++
      output.end()
      output.note(`step ${step.name} failed: ${error instanceof Error ? error.message : String(error)}`)
    }
    output.note(`${step.name}: ${formatDuration(performance.now() - started)}`)
  }
  output.end()
  closing(output, claims, `npm run demo -- --rows ${rows} --seed ${seed}${quick ? ' --quick' : ''}`)
  output.note(`all: ${formatDuration(performance.now() - begun)}`)
  return broken > 0 || claims.some((claim) => verdictOf(claim) === 'refuted') ? 1 : 0
}

function closing(output: StepContext['output'], claims: readonly (Claim & { step: string })[], command: string): void {
  output.text('\nWhat was claimed, and what was measured here\n')
  output.table(claims, [
    { header: 'step', value: (claim) => claim.step },
    { header: 'claim', value: (claim) => claim.text },
    { header: 'measured', value: (claim) => claim.measured },
    { header: 'verdict', value: verdictOf },
    { header: 'again', value: (claim) => `--only ${claim.step}` },
  ])
  for (const claim of claims)
    output.result({ ...claim, verdict: verdictOf(claim), again: `${command} --only ${claim.step}` })
  const held = claims.filter((claim) => verdictOf(claim) === 'held').length
  output.conclusion(`${held} of ${claims.length} claims held.`, { repeat: command })
}
