// The configuration file of `parm serve`: everything wrong with it is reported at once, with its path.
import { readFile } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { FtError, isFtError } from '@ft/core'
import { berrut } from '../codes/berrut.ts'
import type { Code } from '../codes/code.ts'
import { concat } from '../codes/concat.ts'
import { learned } from '../codes/learned.ts'
import type { Preprocessings } from '../codes/preprocessed.ts'
import { replication } from '../codes/replication.ts'
import { sum, weighted } from '../codes/weighted.ts'
import type { GatewayOptions } from '../gateway/gateway.ts'
import type { InstanceSpec } from '../gateway/instances.ts'
import { readLearnedCodeSync } from '../models/learnedFolder.ts'
import type { DelayOptions } from '../serving/delay.ts'
import { deadlineOnly, firstWins, hedge, hedgeThenDecode, hold, type Policy } from '../serving/policy.ts'
import { readTls } from './certificates.ts'
import {
  nameMistakes,
  parityMistakes,
  parityNames,
  preprocessingMistakes,
  type Listed,
  type Mistake,
} from './mistakes.ts'
import { config, type CodeEntry, type Config, type DelayEntry, type InstanceEntry, type PolicyEntry } from './schema.ts'

/** Reads a configuration file. @throws FtError `IO`, or as `parseConfig` does */
export async function readConfig(file: string): Promise<GatewayOptions> {
  const text = await readFile(file, 'utf8').catch((cause: unknown) => {
    throw new FtError('IO', `cannot read the configuration ${file}`, { file }, { cause })
  })
  return parseConfig(text, file)
}

/**
 * Reads a configuration's text.
 *
 * @param file - its path: folders, modules and certificates in it are relative to its folder
 * @throws FtError `INVALID_ARGUMENT` with every mistake and its path
 */
export function parseConfig(text: string, file: string): GatewayOptions {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch (cause) {
    throw new FtError('INVALID_ARGUMENT', `${file}: must be JSON`, { file }, { cause })
  }
  const folder = dirname(resolve(file))
  const parsed = config.safeParse(json)
  // Fields that are right by themselves may still not fit together: that is said in the same run
  const issues = parsed.error?.issues ?? []
  const wrong = new Set(issues.map(({ path }) => path[0]))
  const built = build(parsed.success ? parsed.data : rightFields(json), { folder, wrong })
  const mistakes = [
    ...issues.map(({ path, message }) => ({ path: path.map(String).join('.'), message })),
    ...built.mistakes,
  ].map(({ path, message }) => ({ path: path === '' ? '(top)' : path, message }))
  if (parsed.success && mistakes.length === 0) return optionsOf(parsed.data, { ...built, folder })
  const lines = mistakes.map(({ path, message }) => `  ${path}: ${message}`)
  throw new FtError('INVALID_ARGUMENT', `${file} has ${mistakes.length} mistake(s):\n${lines.join('\n')}`, {
    file,
    mistakes,
  })
}

function rightFields(json: unknown): Partial<Config> {
  const given = (typeof json === 'object' ? json : null) as Record<string, unknown> | null
  return Object.fromEntries(
    Object.entries(config.shape).flatMap(([key, schema]) => {
      const read = schema.safeParse(given?.[key])
      return read.success ? [[key, read.data]] : []
    }),
  )
}

/** What needs more than its form to be read, and what is wrong with it. */
function build(
  { instances = [], parityInstances, code: coded, preprocessing, tls }: Partial<Config>,
  { folder, wrong }: { folder: string; wrong: ReadonlySet<PropertyKey | undefined> },
) {
  const code = coded ? tryCode(coded, folder) : undefined
  const secured = tls ? readTls(tls, folder) : undefined
  const parity = parityInstances && listsOf(parityInstances, code?.built)
  const listed = [{ pool: 'base', path: 'instances', entries: instances }, ...(parity ?? [])]
  const mistakes: Mistake[] = [
    ...(code?.mistakes ?? []),
    // Of a code or instances that cannot be read it is not known
    ...(wrong.has('code') || wrong.has('parityInstances') || (code && !code.built)
      ? []
      : parityMistakes(code?.built, parity)),
    ...(code?.built && preprocessing ? preprocessingMistakes(code.built, preprocessingOf(preprocessing)) : []),
    ...nameMistakes(listed, (entry) => specsOf(entry, folder)),
    ...(secured?.mistakes ?? []),
  ]
  return { code: code?.built, tls: secured?.tls, mistakes }
}

function listsOf(given: NonNullable<Config['parityInstances']>, code: Code | undefined): Listed[] {
  const path = 'parityInstances'
  if (Array.isArray(given)) return [{ pool: parityNames(code)[0] ?? 'parity', path, entries: given }]
  return Object.entries(given).map(([pool, entries]) => ({ pool, path: `${path}.${pool}`, entries }))
}

function optionsOf(
  { code: _code, tls: _tls, instances, parityInstances, preprocessing, policy, guard, grpc, ...rest }: Config,
  { code, tls, folder }: { code: Code | undefined; tls: GatewayOptions['tls']; folder: string },
): GatewayOptions {
  const specs = (list: readonly InstanceEntry[]) => list.flatMap((entry) => specsOf(entry, folder))
  return {
    ...withoutUndefined(rest),
    model: rest.model,
    instances: specs(instances),
    policy: policyOf(policy),
    ...(grpc ? { grpc: withoutUndefined(grpc) } : {}),
    ...(guard === undefined ? {} : { guard: guard === false ? guard : withoutUndefined(guard) }),
    ...(tls ? { tls } : {}),
    ...(code ? { code } : {}),
    ...(preprocessing ? { preprocessing: preprocessingOf(preprocessing) } : {}),
    ...(parityInstances === undefined
      ? {}
      : {
          parityInstances: Array.isArray(parityInstances)
            ? specs(parityInstances)
            : Object.fromEntries(Object.entries(parityInstances).map(([name, list]) => [name, specs(list)])),
        }),
  }
}

function specsOf(entry: InstanceEntry, folder: string): InstanceSpec[] {
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

/** Numbers that are right one by one may make no code together, and a folder may hold none. */
function tryCode(chosen: CodeEntry, folder: string): { built?: Code; mistakes: Mistake[] } {
  try {
    return { built: codeOf(chosen, folder), mistakes: [] }
  } catch (error) {
    if (!isFtError(error)) throw error
    return { mistakes: [{ path: 'code', message: error.message }] }
  }
}

function codeOf(chosen: CodeEntry, folder: string): Code {
  switch (chosen.kind) {
    case 'sum':
      return sum({ k: chosen.k, ...withoutUndefined({ shortGroups: chosen.shortGroups }) })
    case 'weighted':
      return weighted({ k: chosen.k, r: chosen.r, ...withoutUndefined({ coefficients: chosen.coefficients }) })
    case 'concat': {
      const { height, width, ...form } = chosen.image
      return concat({ k: chosen.k, image: { height, width, ...withoutUndefined(form) } })
    }
    case 'learned':
      return learned(readLearnedCodeSync(resolve(folder, chosen.folder)))
    case 'berrut': {
      const { nodes, order, wrong } = chosen
      return berrut({ k: chosen.k, late: chosen.late, ...withoutUndefined({ nodes, order, wrong }) })
    }
    case 'replication':
      return replication(withoutUndefined({ copies: chosen.copies }))
  }
}

function preprocessingOf(entries: NonNullable<Config['preprocessing']>): Preprocessings {
  return Object.fromEntries(Object.entries(entries).map(([name, entry]) => [name, withoutUndefined(entry)]))
}

function policyOf(chosen: PolicyEntry): Policy {
  if (chosen === 'firstWins') return firstWins()
  if (chosen === 'deadlineOnly') return deadlineOnly()
  if ('hold' in chosen) return hold(delayOf(chosen.hold))
  if ('hedge' in chosen) return hedge(delayOf(chosen.hedge))
  const { hedge: first, decode } = chosen.hedgeThenDecode
  return hedgeThenDecode({ hedge: delayOf(first), decode: delayOf(decode) })
}

function delayOf(chosen: DelayEntry): DelayOptions {
  if ('afterMs' in chosen) return chosen
  return { quantile: chosen.quantile, ...withoutUndefined({ initialMs: chosen.initialMs }) }
}

/** Fields that are there: options with exact optional types take no undefined. */
function withoutUndefined<T extends object>(value: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined)) as {
    [K in keyof T]: Exclude<T[K], undefined>
  }
}
