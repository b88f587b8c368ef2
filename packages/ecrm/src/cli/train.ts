// `ecrm train`: a table on shard processes, some of them killed on demand, with what became of them.
import { rename, writeFile } from 'node:fs/promises'
import { FtError, assertOneOf } from '@ft/core'
import type { Output } from '@ft/report'
import { prometheusText } from '@ft/report/prometheus'
import { chooseProtection } from '../advisor/chooseProtection.ts'
import { updatesAStep } from '../advisor/updatesAStep.ts'
import { saveCheckpoint } from '../checkpoint/checkpoint.ts'
import type { DenseModel } from '../dlrm/denseModel.ts'
import { storeMetrics } from '../metrics.ts'
import { parseShard } from '../network/assignment.ts'
import { optimizerNames, type OptimizerName } from '../shard/optimizers.ts'
import { openShards, type EmbeddingTable, type ServerReport, type ShardOptions, type ShardStore } from '../store.ts'
import { evaluate } from '../train.ts'
import { train } from '../workers/train.ts'
import { checkClasses, checkFiles, checkKills, checkNumbers } from './checkTraining.ts'
import { createLiveShards, liveColumns } from './liveShards.ts'
import { readTable, type ReadTable } from './readTable.ts'
import { readNodeTls, readTls, readToken, type TlsFlags } from './shard.ts'

export interface TrainFlags extends TlsFlags {
  readonly data: string
  readonly schema: string
  /** How many, or where: `host:port`, `host:port=domain`, with commas. */
  readonly shards?: string
  readonly tokenFile?: string
  /** Redis nodes: `host:port`, `host:port=domain`, with commas. */
  readonly redis?: string
  /** Who owns them: `host:port`, with commas. */
  readonly owners?: string
  /** Of the run: in the keys on nodes, or under which a later trainer finds it at shards elsewhere. */
  readonly name?: string
  readonly resume?: boolean
  readonly k: number
  readonly r: number
  readonly d: number
  readonly epochs: number
  readonly batch: number
  readonly optimizer: string
  readonly rate: number
  readonly test: number
  readonly seed: number
  /** Threads that train; default 1. */
  readonly workers?: number
  /** 'sync' or 'async', of several. */
  readonly mode?: string
  /** Leaves small hot tables with the trainer. */
  readonly replicate?: boolean
  /** Categorical columns whose rows have no parity, with commas. */
  readonly leave?: string
  /** `shard:2@step:500`, each. */
  readonly kill: readonly string[]
  readonly save?: string
  readonly onnx?: string
  /** Where Prometheus text goes. */
  readonly metrics?: string
  /** Steps between lines of the run. */
  readonly every: number
}

export interface Kill {
  readonly shard: number
  readonly step: number
}

/** @throws FtError `INVALID_ARGUMENT` */
export function parseKill(text: string): Kill {
  const [, shard, step] = /^shard:(\d+)@step:(\d+)$/.exec(text) ?? []
  if (shard === undefined || step === undefined)
    throw new FtError('INVALID_ARGUMENT', `ecrm: --kill must be like shard:2@step:500, got ${text}`, { text })
  return { shard: Number(shard), step: Number(step) }
}

/** @throws FtError `INVALID_ARGUMENT`, `IO` */
async function whereShards(
  flags: TrainFlags,
): Promise<Pick<ShardOptions, 'servers' | 'shards' | 'token' | 'tls' | 'redis' | 'owners' | 'name' | 'resume'>> {
  const { shards, tokenFile, redis, owners, name, resume = false, k, r } = flags
  const elsewhere = redis === undefined && shards !== undefined && !/^\d+$/.test(shards)
  if (resume && !(elsewhere && name !== undefined)) {
    const text = 'ecrm: --resume needs --name and --shards elsewhere: others end with their trainer'
    throw new FtError('INVALID_ARGUMENT', text, {})
  }
  if (redis !== undefined) {
    const servers = shards === undefined ? {} : { servers: Number(shards) }
    const tls = await readNodeTls(flags)
    const owned =
      owners === undefined ? {} : { owners: owners.split(','), token: await tokenFrom(tokenFile, '--owners') }
    const named = { ...(name ? { name } : {}), ...(tls ? { tls } : {}) }
    return { redis: redis.split(',').map(parseShard), ...servers, ...owned, ...named }
  }
  if (shards === undefined) return { servers: k + r }
  if (!elsewhere) return { servers: Number(shards) }
  const token = await tokenFrom(tokenFile, '--shards elsewhere')
  const tls = await readTls(flags)
  return {
    shards: shards.split(',').map(parseShard),
    token,
    resume,
    ...(name ? { name } : {}),
    ...(tls ? { tls } : {}),
  }
}

function tokenFrom(file: string | undefined, who: string): Promise<string> {
  if (file !== undefined) return readToken(file)
  throw new FtError('INVALID_ARGUMENT', `ecrm: ${who} need --token-file; give the file they were started with`, {})
}

export async function runTrain(
  flags: TrainFlags,
  { output, signal, command }: { output: Output; signal: AbortSignal; command?: string },
): Promise<void> {
  if (!optimizerNames.includes(flags.optimizer as OptimizerName))
    throw new FtError('INVALID_ARGUMENT', `ecrm: --optimizer must be one of ${optimizerNames.join(', ')}`, {})
  const { workers = 1, mode = 'sync' } = flags
  assertOneOf(mode, { where: 'ecrm', argument: '--mode', values: ['sync', 'async'] })
  checkNumbers(flags)
  const kills = flags.kill.map(parseKill)
  await checkFiles(flags)
  const table = await readTable(flags.data, flags.schema, { test: flags.test })
  const where = await whereShards(flags)
  const optimizer = { name: flags.optimizer as OptimizerName, learningRate: flags.rate }
  const { k, r, d, seed, epochs, batch } = flags
  const servers = where.servers ?? (where.shards ?? where.redis)?.length ?? k + r
  checkClasses(table)
  const steps = epochs * Math.ceil(table.train.label.length / batch)
  checkKills(kills, { servers, steps })
  const tables = chooseTables(flags, {
    table,
    servers,
    lasting: where.shards !== undefined && flags.name !== undefined,
  })
  const replicated = tables.filter(({ protection }) => protection === 'replicate').length
  const left = table.columns.filter((_, t) => tables[t]!.protection === 'leave')
  output.settings('Training on erasure-coded shards', {
    rows: table.train.label.length,
    shards: servers,
    k,
    r,
    d,
    optimizer: optimizer.name,
    epochs,
    batch,
    seed,
    ...(flags.replicate === true ? { 'tables with the trainer': `${replicated} of ${tables.length}` } : {}),
    ...(left.length > 0 ? { 'without parity': left.join(', ') } : {}),
    ...(workers > 1 ? { workers, mode } : {}),
  })
  const store = await openShards({ tables, d, k, r, optimizer, seed, ...where })
  try {
    let sum = 0
    const live = createLiveShards(performance.now())
    const { model } = await train(table.train, {
      store,
      epochs,
      batch,
      seed,
      workers,
      mode,
      optimizer,
      resume: flags.resume === true,
      signal,
      onProgress: output.onProgress,
      async onStep({ step, loss }, _, score) {
        for (const kill of kills) {
          if (kill.step !== step) continue
          output.note(`step ${step}: shard ${kill.shard} is killed`)
          store.kill(kill.shard)
        }
        sum += loss
        if ((step + 1) % flags.every > 0) return
        if (flags.metrics !== undefined) await writeMetrics(flags.metrics, store)
        const reports = await store.report()
        const missing = reports.reduce((all, { missingRows }) => all + missingRows, 0)
        const { auc, logLoss } = score()
        const line = { step: step + 1, loss: sum / flags.every, auc, logLoss, replaced: store.replacements, missing }
        sum = 0
        const shards = live(reports, performance.now(), store.layout)
        output.result({ type: 'step', ...line, shards })
        output.text(
          `step ${line.step}  loss ${line.loss.toFixed(4)}  AUC ${auc?.toFixed(4) ?? '-'}  shards replaced ${line.replaced}  rows to recover ${missing}`,
        )
        output.table(shards, liveColumns)
      },
    })
    const { lost, startedOver } = await whatEnded(store, tables)
    // What was trained is kept before anything else is done with it.
    if (flags.save !== undefined) await saveCheckpoint(flags.save, { store, model, step: steps })
    if (flags.onnx !== undefined) await writeOnnx(flags.onnx, { model, store, bags: table.bags })
    const { auc, logLoss } = await evaluate(model, table.test, { store, signal })
    const reports = await store.report()
    output.table(
      reports.map((report, shard) => ({ shard, ...report })),
      [
        { header: 'shard', value: ({ shard }) => shard, format: 'plain' },
        { header: 'rows and state', value: ({ dataBytes }) => dataBytes, format: 'bytes' },
        { header: 'parity', value: ({ parityBytes }) => parityBytes, format: 'bytes' },
        { header: 'pulled', value: ({ pulledRows }) => pulledRows, format: 'count' },
        { header: 'pushed', value: ({ pushedRows }) => pushedRows, format: 'count' },
        { header: 'to recover', value: ({ missingRows }) => missingRows, format: 'count' },
        { header: 'recovered', value: ({ recoveredRows }) => recoveredRows, format: 'count' },
        { header: 'unacknowledged, most', value: ({ mostUnacknowledgedBytes: most }) => most, format: 'bytes' },
        { header: 'CPU', value: ({ cpuSeconds }: ServerReport) => cpuSeconds * 1000, format: 'duration' },
      ],
    )
    if (flags.metrics !== undefined) await writeMetrics(flags.metrics, store)
    output.result({ type: 'end', auc, logLoss, replaced: store.replacements, lost, startedOver, shards: reports })
    output.conclusion(
      `AUC ${auc.toFixed(4)}, log loss ${logLoss.toFixed(4)} on ${table.test.label.length} test rows; ` +
        `${store.replacements} shards replaced, ${lost.length} rows lost` +
        (left.length > 0 ? `, ${startedOver} without parity started over.` : '.'),
      command === undefined ? {} : { repeat: command },
    )
  } finally {
    await store.close()
  }
}

/**
 * All encoded, or each as the choice says, which needs parity to choose from; those of `--leave` without parity either way.
 *
 * @throws FtError `INVALID_ARGUMENT`
 */
function chooseTables(
  { replicate = false, leave, k, r, d, batch, seed, optimizer, rate }: TrainFlags,
  { table, servers, lasting }: { table: ReadTable; servers: number; lasting: boolean },
): EmbeddingTable[] {
  const named = leave === undefined ? [] : leave.split(',').map((column) => column.trim())
  for (const column of named) assertOneOf(column, { where: 'ecrm', argument: '--leave', values: table.columns })
  const expendable = table.columns.map((column) => named.includes(column))
  if (!replicate) return table.sizes.map((rows, t) => ({ rows, ...(expendable[t]! ? { protection: 'leave' } : {}) }))
  if (r === 0)
    throw new FtError('INVALID_ARGUMENT', 'ecrm: --replicate chooses between copies and parity; take --r 1', {})
  const updates = updatesAStep(table.train, { batch, seed })
  const { tables } = chooseProtection(
    table.sizes.map((rows, t) => ({ rows, d, updates: updates[t]!, expendable: expendable[t]! })),
    {
      ...{ k, r, servers, replicateEvery: lasting ? 1 : 0 },
      optimizer: { name: optimizer as OptimizerName, learningRate: rate },
    },
  )
  return [...tables]
}

/** Rows that are gone although they had parity, and how many without it have started over. */
async function whatEnded(
  store: ShardStore,
  tables: readonly EmbeddingTable[],
): Promise<{ lost: number[]; startedOver: number }> {
  const ids = await store.recovered()
  const left = tables.flatMap(({ rows, protection }, t) =>
    protection === 'leave' ? [{ start: store.offsets[t]!, end: store.offsets[t]! + rows }] : [],
  )
  const lost = ids.filter((id) => !left.some(({ start, end }) => id >= start && id < end))
  return { lost, startedOver: ids.length - lost.length }
}

async function writeOnnx(
  path: string,
  { model, store, bags }: { model: DenseModel; store: ShardStore; bags: ReadTable['bags'] },
): Promise<void> {
  const { exportOnnx } = await import('../export/exportOnnx.ts')
  const bytes = await exportOnnx(model, { from: 'ids', store, bags })
  try {
    await writeFile(path, bytes)
  } catch (cause) {
    throw new FtError('IO', `ecrm: --onnx ${path} cannot be written; look at the cause`, { path }, { cause })
  }
}

/** Whoever reads the file meanwhile finds the text before or the new one, whole. */
async function writeMetrics(path: string, store: ShardStore): Promise<void> {
  const text = await prometheusText(await storeMetrics(store))
  try {
    await writeFile(`${path}.unfinished`, text)
    await rename(`${path}.unfinished`, path)
  } catch (cause) {
    throw new FtError('IO', `ecrm: --metrics ${path} cannot be written; look at the cause`, { path }, { cause })
  }
}
