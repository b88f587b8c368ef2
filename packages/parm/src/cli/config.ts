// The configuration file of `parm serve`: everything wrong with it is reported at once, with its path.
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { FtError } from '@ft/core'
import { z } from 'zod'
import { berrut } from '../codes/berrut.ts'
import type { Code } from '../codes/code.ts'
import { concat } from '../codes/concat.ts'
import { replication } from '../codes/replication.ts'
import { sum, weighted } from '../codes/weighted.ts'
import type { GatewayOptions } from '../gateway/gateway.ts'
import type { InstanceSpec } from '../gateway/instances.ts'
import type { DelayOptions } from '../serving/delay.ts'
import { deadlineOnly, firstWins, hedge, hedgeThenDecode, hold, type Policy } from '../serving/policy.ts'

const common = {
  name: z.string().min(1).optional(),
  domain: z.string().min(1).optional(),
  concurrency: z.int().min(1).max(1024).optional(),
}
const faults = z.strictObject({
  seed: z.int().min(0),
  late: z
    .strictObject({ share: z.number().min(0).max(1), ms: z.tuple([z.number().min(0), z.number().min(0)]) })
    .optional(),
  slow: z.strictObject({ factor: z.number().min(1) }).optional(),
  drop: z.strictObject({ share: z.number().min(0).max(1) }).optional(),
})
const worker = { ...common, workers: z.int().min(1).max(64).default(1), faults: faults.optional() }
const instance = z.union([
  z.strictObject({
    ...common,
    url: z.union([z.url({ protocol: /^(https?|grpcs?)$/ }), z.string().startsWith('/')]),
    model: z.string().min(1).optional(),
  }),
  z.strictObject({ ...worker, folder: z.string().min(1) }),
  z.strictObject({ ...worker, onnx: z.string().min(1) }),
  z.strictObject({ ...worker, module: z.string().min(1), options: z.unknown().optional() }),
])
const group = z.int().min(2).max(16)
const code = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('sum'), k: group, shortGroups: z.boolean().optional() }),
  z.strictObject({ kind: z.literal('weighted'), k: group, r: z.int().min(1).max(4) }),
  z.strictObject({
    kind: z.literal('concat'),
    k: z.union([z.literal(2), z.literal(4), z.literal(9)]),
    image: z.strictObject({
      height: z.int().min(3),
      width: z.int().min(3),
      channels: z.int().min(1).optional(),
      layout: z.enum(['HWC', 'CHW']).optional(),
    }),
  }),
  z.strictObject({
    kind: z.literal('berrut'),
    k: group,
    late: z.int().min(1).max(8),
    nodes: z.enum(['open', 'closed']).optional(),
    order: z.int().min(0).max(15).optional(),
    wrong: z.int().min(0).max(8).optional(),
  }),
  z.strictObject({ kind: z.literal('replication'), copies: z.int().min(2).max(8).optional() }),
])
const delay = z.union([
  z.strictObject({ afterMs: z.number().min(0) }),
  z.strictObject({ quantile: z.number().min(0.5).max(1), initialMs: z.number().min(0).optional() }),
])
const policy = z.union([
  z.enum(['firstWins', 'deadlineOnly']),
  z.strictObject({
    hold: delay,
  }),
  z.strictObject({ hedge: delay }),
  z.strictObject({ hedgeThenDecode: z.strictObject({ hedge: delay, decode: delay }) }),
])
const config = z.strictObject({
  model: z.string().min(1),
  instances: z.array(instance).min(1),
  parityInstances: z.union([z.array(instance), z.record(z.string(), z.array(instance).min(1))]).optional(),
  code: code.optional(),
  policy: policy.default({ hold: { quantile: 0.99 } }),
  deadlineMs: z.number().min(1).optional(),
  maxGroupWaitMs: z.number().min(0).optional(),
  queueLimit: z.int().min(1).optional(),
  guard: z
    .union([
      z.literal(false),
      z.strictObject({ limit: z.number().min(0.1).optional(), windowMs: z.number().min(1).optional() }),
    ])
    .optional(),
  shadowShare: z.number().min(0).max(1).optional(),
  residualShare: z.number().min(0).max(1).optional(),
  seed: z.int().min(0).optional(),
  host: z.string().min(1).optional(),
  port: z.int().min(0).max(65535).default(8000),
  maxBodyBytes: z.int().min(1).optional(),
  grpc: z
    .strictObject({ host: z.string().min(1).optional(), port: z.int().min(0).max(65535).default(8001) })
    .optional(),
  /** Files of PEM texts. */
  tls: z.strictObject({ cert: z.string().min(1), key: z.string().min(1), ca: z.string().min(1).optional() }).optional(),
})

/**
 * Reads a configuration's text.
 *
 * @param file - its path: folders and modules in it are relative to its folder
 * @throws FtError `INVALID_ARGUMENT` with every mistake and its path
 */
export function parseConfig(text: string, file: string): GatewayOptions {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new FtError('INVALID_ARGUMENT', `${file}: must be JSON`, { file }, { cause })
  }
  const parsed = config.safeParse(json)
  if (!parsed.success) {
    const mistakes = parsed.error.issues.map((issue) => ({
      path: issue.path.map(String).join('.') || '(top)',
      message: issue.message,
    }))
    const lines = mistakes.map(({ path, message }) => `  ${path}: ${message}`)
    throw new FtError('INVALID_ARGUMENT', `${file} has ${mistakes.length} mistake(s):\n${lines.join('\n')}`, {
      file,
      mistakes,
    })
  }
  const { instances, parityInstances, code: coded, policy: chosen, tls, guard, grpc, ...rest } = parsed.data
  const folder = dirname(resolve(file))
  const pem = (path: string) => readText(resolve(folder, path))
  const specs = (list: readonly z.infer<typeof instance>[]) => list.flatMap((entry) => specsOf(entry, folder))
  return {
    ...withoutUndefined(rest),
    model: rest.model,
    instances: specs(instances),
    policy: policyOf(chosen),
    ...(grpc ? { grpc: withoutUndefined(grpc) } : {}),
    ...(guard === undefined ? {} : { guard: guard === false ? guard : withoutUndefined(guard) }),
    ...(tls
      ? { tls: { cert: pem(tls.cert), key: pem(tls.key), ...(tls.ca === undefined ? {} : { ca: pem(tls.ca) }) } }
      : {}),
    ...(coded ? { code: codeOf(coded) } : {}),
    ...(parityInstances === undefined
      ? {}
      : {
          parityInstances: Array.isArray(parityInstances)
            ? specs(parityInstances)
            : Object.fromEntries(Object.entries(parityInstances).map(([name, list]) => [name, specs(list)])),
        }),
  }
}

function specsOf(entry: z.infer<typeof instance>, folder: string): InstanceSpec[] {
  const { name, domain, concurrency } = entry
  const shared = withoutUndefined({ domain, concurrency })
  if ('url' in entry) return [{ ...shared, ...withoutUndefined({ name, model: entry.model }), url: entry.url }]
  const worker =
    'folder' in entry
      ? { folder: resolve(folder, entry.folder) }
      : 'onnx' in entry
        ? { onnx: resolve(folder, entry.onnx) }
        : { module: resolve(folder, entry.module), options: entry.options }
  const { faults: injected } = entry
  return Array.from({ length: entry.workers }, (_, i) => ({
    ...shared,
    // Each worker its own draws
    ...(injected
      ? {
          faults: {
            seed: injected.seed + i,
            ...withoutUndefined({ late: injected.late, slow: injected.slow, drop: injected.drop }),
          },
        }
      : {}),
    ...(name === undefined ? {} : { name: entry.workers === 1 ? name : `${name}-${i}` }),
    worker,
  }))
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (cause) {
    throw new FtError('IO', `parm.json: cannot read ${path}`, { path }, { cause })
  }
}

function codeOf(chosen: z.infer<typeof code>): Code {
  switch (chosen.kind) {
    case 'sum':
      return sum({ k: chosen.k, ...withoutUndefined({ shortGroups: chosen.shortGroups }) })
    case 'weighted':
      return weighted({ k: chosen.k, r: chosen.r })
    case 'concat': {
      const { height, width, ...form } = chosen.image
      return concat({ k: chosen.k, image: { height, width, ...withoutUndefined(form) } })
    }
    case 'berrut': {
      const { nodes, order, wrong } = chosen
      return berrut({ k: chosen.k, late: chosen.late, ...withoutUndefined({ nodes, order, wrong }) })
    }
    case 'replication':
      return replication(withoutUndefined({ copies: chosen.copies }))
  }
}

function policyOf(chosen: z.infer<typeof policy>): Policy {
  if (chosen === 'firstWins') return firstWins()
  if (chosen === 'deadlineOnly') return deadlineOnly()
  if ('hold' in chosen) return hold(delayOf(chosen.hold))
  if ('hedge' in chosen) return hedge(delayOf(chosen.hedge))
  const { hedge: first, decode } = chosen.hedgeThenDecode
  return hedgeThenDecode({ hedge: delayOf(first), decode: delayOf(decode) })
}

function delayOf(chosen: z.infer<typeof delay>): DelayOptions {
  if ('afterMs' in chosen) return chosen
  return { quantile: chosen.quantile, ...withoutUndefined({ initialMs: chosen.initialMs }) }
}

/** Fields that are there: options with exact optional types take no undefined. */
function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
