// What is wrong with a configuration although every field by itself has the right form.
import { isFtError } from '@ft/core'
import type { Code } from '../codes/code.ts'
import { withPreprocessing, type Preprocessings } from '../codes/preprocessed.ts'
import type { InstanceSpec } from '../gateway/instances.ts'
import type { InstanceEntry } from './schema.ts'

export interface Mistake {
  /** Keys and positions, joined by dots. */
  readonly path: string
  readonly message: string
}

/** Instances of one model as they are listed. */
export interface Listed {
  /** 'base', or the name of a parity model. */
  readonly pool: string
  readonly path: string
  readonly entries: readonly InstanceEntry[]
}

/** A code needs instances of its parity models, and nothing else does. */
export function parityMistakes(code: Code | undefined, parity: readonly Listed[] | undefined): Mistake[] {
  const path = 'parityInstances'
  const names = parityNames(code)
  const given = parity ?? []
  if (names.length === 0)
    return given.length === 0
      ? []
      : [{ path, message: code ? `the code ${code.name} needs none` : 'are of no use without a code' }]
  const missing = names.filter((name) => !given.some(({ pool, entries }) => pool === name && entries.length > 0))
  const unknown = given.filter(({ pool }) => !names.includes(pool))
  return [
    ...(missing.length === 0
      ? []
      : [{ path, message: `the code ${code?.name ?? ''} needs instances of ${missing.join(', ')}` }]),
    ...unknown.map((one) => ({ path: one.path, message: `the code has no parity model '${one.pool}'` })),
  ]
}

/** Names of the parity models that a code needs. */
export function parityNames(code: Code | undefined): string[] {
  const models = Array.from({ length: code?.n ?? 0 }, (_, slot) => code?.modelFor(slot) ?? 'base')
  return [...new Set(models)].filter((model) => model !== 'base')
}

/** Coded units of some codes run on the model itself, which would preprocess them again. */
export function preprocessingMistakes(code: Code, preprocessing: Preprocessings): Mistake[] {
  try {
    withPreprocessing(code, preprocessing)
    return []
  } catch (error) {
    if (!isFtError(error)) throw error
    return [{ path: 'preprocessing', message: `the code ${code.name} has no parity model to preprocess for` }]
  }
}

/** Metrics, the status page and residual checks know instances by their names. */
export function nameMistakes(listed: readonly Listed[], specs: (entry: InstanceEntry) => InstanceSpec[]): Mistake[] {
  const taken = new Set<string>()
  return listed.flatMap(({ pool, path, entries }) => {
    let place = 0
    return entries.flatMap((entry, i) => {
      const names = specs(entry).map(({ name }) => {
        const own = `${pool}-${place++}`
        return name ?? own
      })
      const twice = names.filter((name) => taken.has(name))
      for (const name of names) taken.add(name)
      return twice.map((name) => ({ path: `${path}.${i}.name`, message: `another instance is called '${name}'` }))
    })
  })
}
