// Fault lists as JSON text. Numbers that JSON lacks (NaN, infinities, -0) are written as strings, so that a list read
// back is the list that was saved.
import { FtError } from '../errors.ts'
import type { Fault, FaultEffect, FaultList, FaultSite } from '../types/faults.ts'

/**
 * A fault list as JSON, one fault a line.
 *
 * Guarantees: `parseFaultList` gives an equal list, NaN, infinities and -0 included.
 */
export function saveFaultList(list: FaultList): string {
  const { schema, version, seed, faults } = list
  const lines = faults.map((fault) => `    ${JSON.stringify(fault, (_, value: unknown) => special(value))}`)
  const body = lines.length > 0 ? `[\n${lines.join(',\n')}\n  ]` : '[]'
  return `{\n  "schema": "${schema}",\n  "version": ${version},\n  "seed": ${seed},\n  "faults": ${body}\n}\n`
}

/**
 * Reads a saved fault list; every field is checked.
 *
 * @throws FtError `CORRUPT_DATA` naming the place when the text is cut, damaged or no fault list;
 * `VERSION_UNSUPPORTED` when a newer version wrote it
 */
export function parseFaultList(text: string): FaultList {
  let parsed: unknown
  try {
    parsed = JSON.parse(text)
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause)
    throw new FtError('CORRUPT_DATA', `parseFaultList: the text is not JSON (${reason}); was it cut?`, {}, { cause })
  }
  const top = new Fields(parsed, 'the list')
  top.literal('schema', ['ft.faults'])
  const version = top.take('version')
  if (version !== 1) {
    throw new FtError('VERSION_UNSUPPORTED', `parseFaultList: version 1 is known, got ${String(version)}`, { version })
  }
  const seed = top.integer('seed', Number.MIN_SAFE_INTEGER)
  const faults = top.take('faults')
  if (!Array.isArray(faults)) throw corrupt('faults', 'an array', faults)
  top.end()
  return { schema: 'ft.faults', version: 1, seed, faults: faults.map((fault, i) => parseFault(fault, `faults[${i}]`)) }
}

function parseFault(value: unknown, path: string): Fault {
  const fields = new Fields(value, path)
  const fault: { -readonly [K in keyof Fault]: Fault[K] } = {
    site: parseSite(fields.take('site'), `${path}.site`),
    effect: parseEffect(fields.take('effect'), `${path}.effect`),
  }
  if (fields.has('layer')) fault.layer = fields.text('layer')
  if (fields.has('persistent')) fault.persistent = fields.literal('persistent', [true, false])
  if (fields.has('weight')) fault.weight = fields.number('weight')
  if (fields.has('event')) fault.event = fields.integer('event')
  if (fault.weight !== undefined && !(fault.weight >= 0 && fault.weight < Infinity)) {
    throw corrupt(`${path}.weight`, 'a finite number of at least 0', fault.weight)
  }
  fields.end()
  return fault
}

function parseSite(value: unknown, path: string): FaultSite {
  const fields = new Fields(value, path)
  const kind = fields.literal('kind', ['operand', 'packed-weight', 'accumulator', 'output', 'checksum', 'index'])
  const index = (name: string) => fields.integer(name)
  const site = ((): FaultSite => {
    switch (kind) {
      case 'operand':
        return { kind, row: index('row'), step: index('step') }
      case 'packed-weight':
        return { kind, step: index('step'), column: index('column') }
      case 'accumulator':
        return { kind, row: index('row'), column: index('column'), step: index('step') }
      case 'output':
        return { kind, row: index('row'), column: index('column') }
      case 'checksum':
        return { kind, side: fields.literal('side', ['actual', 'expected']), index: index('index') }
      case 'index':
        return { kind, position: index('position') }
    }
  })()
  fields.end()
  return site
}

function parseEffect(value: unknown, path: string): FaultEffect {
  const fields = new Fields(value, path)
  const kind = fields.literal('kind', ['flip', 'stuck', 'carry', 'set', 'add', 'drop-term', 'double-term'])
  const effect = ((): FaultEffect => {
    switch (kind) {
      case 'flip':
        return { kind, bits: fields.bits('bits') }
      case 'stuck':
        return { kind, bit: fields.bit('bit'), at: fields.literal('at', [0, 1]) }
      case 'carry':
        return { kind, bit: fields.bit('bit'), sign: fields.literal('sign', [1, -1]) }
      case 'set':
      case 'add':
        return { kind, value: fields.number('value') }
      case 'drop-term':
      case 'double-term':
        return { kind }
    }
  })()
  fields.end()
  return effect
}

/** Fields of an outside object, each taken once and checked; `end` refuses what was not taken. */
class Fields {
  private readonly rest: Map<string, unknown>
  private readonly path: string

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) throw corrupt(path, 'an object', value)
    this.rest = new Map(Object.entries(value))
    this.path = path
  }

  has(name: string): boolean {
    return this.rest.has(name)
  }

  take(name: string): unknown {
    const value = this.rest.get(name)
    this.rest.delete(name)
    return value
  }

  literal<const T>(name: string, values: readonly T[]): T {
    const value = this.take(name)
    if ((values as readonly unknown[]).includes(value)) return value as T
    throw corrupt(`${this.path}.${name}`, `one of ${values.map(String).join(', ')}`, value)
  }

  text(name: string): string {
    const value = this.take(name)
    if (typeof value === 'string') return value
    throw corrupt(`${this.path}.${name}`, 'a string', value)
  }

  integer(name: string, min = 0): number {
    const value = this.take(name)
    if (Number.isSafeInteger(value) && (value as number) >= min) return value as number
    throw corrupt(`${this.path}.${name}`, `an integer of at least ${min}`, value)
  }

  bit(name: string): number {
    const value = this.take(name)
    if (isBit(value)) return value
    throw corrupt(`${this.path}.${name}`, 'a bit, 0 to 63', value)
  }

  bits(name: string): number[] {
    const value = this.take(name)
    if (Array.isArray(value) && value.length > 0 && value.every(isBit) && new Set(value).size === value.length) {
      return value
    }
    throw corrupt(`${this.path}.${name}`, 'different bits, 0 to 63, at least one', value)
  }

  number(name: string): number {
    const value = this.take(name)
    if (typeof value === 'number') return value
    if (typeof value === 'string' && specials.has(value)) return Number(value)
    throw corrupt(`${this.path}.${name}`, "a number, 'NaN', 'Infinity', '-Infinity' or '-0'", value)
  }

  end(): void {
    const [extra] = this.rest.keys()
    if (extra !== undefined) throw corrupt(this.path, `no field \`${extra}\``, this.rest.get(extra))
  }
}

const specials = new Set(['NaN', 'Infinity', '-Infinity', '-0'])

function special(value: unknown): unknown {
  if (typeof value !== 'number') return value
  return Object.is(value, -0) ? '-0' : Number.isFinite(value) ? value : String(value)
}

function isBit(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 63
}

function corrupt(path: string, expected: string, got: unknown): FtError {
  const shown = (JSON.stringify(got) ?? String(got)).slice(0, 80)
  return new FtError('CORRUPT_DATA', `parseFaultList: ${path} must be ${expected}, got ${shown}`, { path, expected })
}
