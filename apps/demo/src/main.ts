// npm run demo: the steps in order, then one table of what they claim and what was measured here.
import { accessSync, constants } from 'node:fs'
import { availableParallelism, cpus } from 'node:os'
import { dirname } from 'node:path'
import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { Command, InvalidArgumentError } from 'commander'
import { createOutput, formatCount, formatDuration, terminalFromEnvironment } from '@ft/report'
import { trainDlrm, type Dlrm } from './dlrm.ts'
import { createRecorder } from './report.ts'
import { startPageServer } from './server/server.ts'
import { chooseStep } from './steps/choose.ts'
import { flightsStep, loadFlights, type FlightsLoaded } from './steps/flights.ts'
import { networkStep } from './steps/network.ts'
import { protectStep } from './steps/protect.ts'
import { shardsStep } from './steps/shards.ts'
import { rankStep } from './steps/rank.ts'
import { serveStep } from './steps/serve.ts'
import { treesStep } from './steps/trees.ts'
import { trainNetwork, type TrainedNetwork } from './trainNetwork.ts'
import { verdictOf, type Claim, type Step, type StepContext, type Verdict } from './story.ts'

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
  readonly full: boolean
  readonly html?: string
  readonly serve: boolean
  readonly port?: number
}

const DEFAULT_ROWS = 300_000
/** More than there are: the task takes what there is. */
const ALL_ROWS = 3_000_000
const QUICK_ROWS = 100_000

const program = new Command('demo')
  .description('Fault tolerance for machine learning, on three million flights')
  .option('--rows <n>', `rows of the task; default ${DEFAULT_ROWS}, with --quick ${QUICK_ROWS}`, wholeNumber)
  .option('--seed <n>', 'seed of everything random', wholeNumber, 1)
  .option('--quick', 'smaller and shorter', false)
  .option('--full', 'all three million flights; about twenty minutes', false)
  .option('--only <step>', `one step: ${steps.map((step) => step.name).join(', ')}`)
  .option('--json', 'one JSON object a line', false)
  .option('--html <file>', 'write a report with pictures, one self-contained file')
  .option('--serve', 'the page, on this machine’s own address, until Ctrl-C', false)
  .option('--port <n>', 'port of --serve; default any free one', wholeNumber)
  .addHelpText('after', '\nExamples:\n  npm run demo -- --quick\n  npm run demo -- --only trees --rows 1000000')

const flags = program.parse().opts<Flags>()
process.exitCode = await (flags.serve ? serve(flags) : main(flags))

function wholeNumber(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('must be a whole number above 0')
  return value
}

async function serve({ port }: Flags): Promise<number> {
  const server = await startPageServer({
    folder: fileURLToPath(new URL('./page', import.meta.url)),
    entry: fileURLToPath(import.meta.url),
    ...(port === undefined ? {} : { port }),
  })
  process.stdout.write(`The page: ${server.url}  (Ctrl-C ends it)\n`)
  await new Promise((resolve) => {
    process.once('SIGINT', resolve)
    process.once('SIGTERM', resolve)
  })
  await server.close()
  return 0
}

async function main(flags: Flags): Promise<number> {
  const { json, seed, quick, only } = flags
  const chosen = only === undefined ? steps : steps.filter((step) => step.name === only)
  if (chosen.length === 0) program.error(`no step ${only ?? ''}; steps: ${steps.map((step) => step.name).join(', ')}`)
  if (flags.html !== undefined) assertWritable(flags.html)
  const plain = createOutput({
    stdout: process.stdout,
    stderr: process.stderr,
    json,
    ...terminalFromEnvironment({ json }),
  })
  const recorder = createRecorder(plain)
  const { output } = recorder
  const rows = flags.rows ?? (flags.full ? ALL_ROWS : quick ? QUICK_ROWS : DEFAULT_ROWS)
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
    chart: recorder.chart,
  }
  output.settings('@ft demo', { ...options, node: process.version })
  const begun = performance.now()
  const claims: (Claim & { step: string })[] = []
  let broken = 0
  for (const [index, step] of chosen.entries()) {
    const started = performance.now()
    plain.text(`\n${index + 1}/${chosen.length}  ${step.title}\n`)
    recorder.section(step.title)
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
  const settings = `--rows ${rows} --seed ${seed}${quick ? ' --quick' : ''}`
  recorder.section('What was claimed, and what was measured here')
  plain.text('\nWhat was claimed, and what was measured here\n')
  const lead = closing(output, claims, { settings, chosen: only })
  output.note(`all: ${formatDuration(performance.now() - begun)}`)
  if (flags.html !== undefined) {
    await recorder.write(flags.html, {
      title: 'Five systems on three million flights',
      lead,
      facts: factsOf(options),
      footer: `Again: npm run demo -- ${settings} --html report.html`,
    })
    output.note(`report: ${flags.html}`)
  }
  return broken > 0 || claims.some((claim) => verdictOf(claim) === 'refuted') ? 1 : 0
}

/** Ends the command before minutes of work whose report could not be written. */
function assertWritable(file: string): void {
  try {
    accessSync(dirname(file), constants.W_OK)
  } catch (error) {
    program.error(`cannot write ${file}: ${(error as Error).message}`)
  }
}

function factsOf({ rows, seed, threads }: StepContext['options']): { name: string; value: string | number }[] {
  return [
    { name: 'rows', value: formatCount(rows) },
    { name: 'seed', value: seed },
    { name: 'threads', value: threads },
    { name: 'processor', value: cpus()[0]?.model ?? 'unknown' },
    { name: 'Node', value: process.version },
  ]
}

/** The table of verdicts; returns its sentence. */
function closing(
  output: StepContext['output'],
  claims: readonly (Claim & { step: string })[],
  { settings, chosen }: { settings: string; chosen: string | undefined },
): string {
  const again = (step: string) => `npm run demo -- ${settings} --only ${step}`
  output.table(claims, [
    { header: 'step', value: (claim) => claim.step },
    { header: 'claim', value: (claim) => claim.text },
    { header: 'measured', value: (claim) => claim.measured },
    { header: 'verdict', value: verdictOf },
  ])
  for (const claim of claims) output.result({ ...claim, verdict: verdictOf(claim), again: again(claim.step) })
  const steps = [...new Set(claims.map(({ step }) => step))]
  output.text(`Any step again, with its claims:\n${steps.map((step) => `  ${again(step)}`).join('\n')}`)
  const count = (verdict: Verdict) => claims.filter((claim) => verdictOf(claim) === verdict).length
  const sentence = `${count('held')} of ${claims.length} claims held, ${count('undecided')} undecided, ${count('refuted')} refuted.`
  output.conclusion(sentence, { repeat: chosen === undefined ? `npm run demo -- ${settings}` : again(chosen) })
  return sentence
}
