// Counts of a campaign: added trial by trial, saved, read back, merged.
import { FtError } from '@ft/core'
import { faultClasses, type CampaignCell, type CampaignResult, type FaultClass } from './types.ts'

type Key = Pick<CampaignCell, 'layer' | 'site' | 'model' | 'bit'>
type Settings = Omit<CampaignResult, 'schema' | 'version' | 'shards' | 'cells'>
type Counts = Record<FaultClass, number>
type Shard = CampaignResult['shards'][number]
interface Cell extends Key {
  trials: number
  count: Counts
  detected: Counts
  corrected: number
}

const settingNames = ['build', 'scheme', 'checksumWeights', 'seed', 'trials', 'threshold', 'fingerprint'] as const

export class Tally {
  readonly #settings: Settings
  readonly #cells = new Map<string, Cell>()
  #shards: CampaignResult['shards'] = []

  constructor(settings: Settings) {
    this.#settings = settings
  }

  add(
    key: Key,
    { outcome, detected, corrected }: { outcome: FaultClass; detected: boolean; corrected: boolean },
  ): void {
    const cell = this.#cell(key)
    cell.trials++
    cell.count[outcome]++
    if (detected) cell.detected[outcome]++
    if (corrected) cell.corrected++
  }

  /**
   * Takes over what an earlier part counted.
   *
   * @throws FtError `FINGERPRINT_MISMATCH` for another campaign's part; `INVALID_ARGUMENT` for shards that are in already
   * or are of another number of shards: their trials would count twice
   */
  resume(part: CampaignResult): void {
    for (const name of settingNames)
      if (part[name] !== this.#settings[name])
        throw new FtError(
          'FINGERPRINT_MISMATCH',
          `runCampaign: the result to resume has ${name} ${String(part[name])}, this campaign ${String(this.#settings[name])}`,
          { name, expected: this.#settings[name], got: part[name] },
        )
    for (const shard of part.shards) this.#shards = [...this.#shards, this.#fresh(shard)]
    for (const cell of part.cells) {
      const own = this.#cell(cell)
      own.trials += cell.trials
      own.corrected += cell.corrected
      for (const name of faultClasses) {
        own.count[name] += cell.count[name]
        own.detected[name] += cell.detected[name]
      }
    }
  }

  /** The first trial of a shard that is not counted yet. */
  startOf({ index, count }: Omit<Shard, 'done'>): number {
    this.#assertCount(count)
    return this.#shards.find((shard) => shard.index === index)?.done ?? index
  }

  #fresh(shard: Shard): Shard {
    this.#assertCount(shard.count)
    if (this.#shards.some(({ index }) => index === shard.index))
      throw new FtError(
        'INVALID_ARGUMENT',
        `campaign: shard ${shard.index} of ${shard.count} is given twice; each may be counted once`,
        { shard },
      )
    return shard
  }

  #assertCount(count: number): void {
    const expected = this.#shards[0]?.count ?? count
    if (count !== expected)
      throw new FtError(
        'INVALID_ARGUMENT',
        `campaign: results of ${expected} and of ${count} shards share trials; give shards of one count`,
        { expected, got: count },
      )
  }

  /** The result so far; `shards` replace those of the same index. */
  result(shards: CampaignResult['shards']): CampaignResult {
    const kept = this.#shards.filter(({ index, count }) => !shards.some((s) => s.index === index && s.count === count))
    return {
      schema: 'ft.campaign',
      version: 1,
      ...this.#settings,
      shards: [...kept, ...shards],
      cells: [...this.#cells.values()],
    }
  }

  #cell(key: Key): Cell {
    const name = JSON.stringify([key.layer, key.site, key.model, key.bit])
    let cell = this.#cells.get(name)
    if (!cell) {
      const { layer, site, model, bit } = key
      cell = { layer, site, model, bit, trials: 0, count: zero(), detected: zero(), corrected: 0 }
      this.#cells.set(name, cell)
    }
    return cell
  }
}

function zero(): Counts {
  return { masked: 0, benign: 0, critical: 0, unusable: 0 }
}

/**
 * Puts the results of shards of one campaign together.
 *
 * @throws FtError `FINGERPRINT_MISMATCH` for results of different campaigns, `INVALID_ARGUMENT` for none, for a shard
 * that comes twice and for shards of different counts
 */
export function mergeCampaigns(parts: readonly CampaignResult[]): CampaignResult {
  const [first] = parts
  if (!first) throw new FtError('INVALID_ARGUMENT', 'mergeCampaigns: `parts` must not be empty, got []', {})
  const tally = new Tally(first)
  for (const part of parts) tally.resume(part)
  return tally.result([])
}

/**
 * Reads a saved campaign back.
 *
 * @throws FtError `CORRUPT_DATA` saying where, `VERSION_UNSUPPORTED`
 */
export function parseCampaign(text: string): CampaignResult {
  const fail = (what: string): FtError => new FtError('CORRUPT_DATA', `parseCampaign: ${what}`, { what })
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    throw fail('not JSON')
  }
  const c = (value ?? {}) as Partial<CampaignResult>
  if (c.schema !== 'ft.campaign') throw fail('schema must be "ft.campaign"')
  if (c.version !== 1)
    throw new FtError(
      'VERSION_UNSUPPORTED',
      `parseCampaign: version ${String(c.version)} is not supported; this reads 1`,
    )
  for (const name of ['build', 'scheme', 'threshold', 'fingerprint'] as const)
    if (typeof c[name] !== 'string') throw fail(`${name} must be text`)
  if (c.checksumWeights !== undefined && c.checksumWeights !== 'random')
    throw fail("checksumWeights must be left out or 'random'")
  for (const name of ['seed', 'trials'] as const) if (!whole(c[name])) throw fail(`${name} must be a whole number`)
  if (
    !Array.isArray(c.shards) ||
    c.shards.length === 0 ||
    !c.shards.every((s) => [s?.index, s?.count, s?.done].every(whole))
  )
    throw fail('shards must be a list of at least one { index, count, done }')
  if (!Array.isArray(c.cells)) throw fail('cells must be a list')
  c.cells.forEach((cell: Partial<CampaignCell> | null, i) => {
    const named = [cell?.layer, cell?.site, cell?.model].every((name) => typeof name === 'string')
    const counted = (counts: Partial<Counts> | undefined) => faultClasses.every((name) => whole(counts?.[name]))
    const bit = cell?.bit === null || whole(cell?.bit)
    if (!named || !bit || !whole(cell?.trials) || !whole(cell?.corrected)) throw fail(`cells[${i}] lacks a field`)
    if (!counted(cell?.count) || !counted(cell?.detected)) throw fail(`cells[${i}] lacks a count`)
    const total = faultClasses.reduce((all, name) => all + (cell?.count?.[name] ?? 0), 0)
    if (total !== cell?.trials) throw fail(`cells[${i}] counts ${total} of ${cell?.trials} trials`)
  })
  return c as CampaignResult
}

function whole(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
