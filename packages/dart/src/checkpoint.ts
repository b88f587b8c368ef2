// The state of a run between two rounds: with it, a run that was ended goes on to the same bits.
import { FtError } from '@ft/core'
import { restoreRandom, type RandomState } from '@ft/core/random'
import type { Booster } from './boostRound.ts'
import { crc32, pack, unpack } from './exchange/container.ts'
import { packTrees, unpackTrees } from './exchange/modelBytes.ts'
import type { SetUp } from './setUp.ts'
import type { BestRound, RoundRecord } from './train.ts'

const KIND = 'checkpoint'
const VERSION = 1

/** What a run has beside its booster. */
export interface Progress {
  readonly history: RoundRecord[]
  readonly best: BestRound | undefined
}

interface Meta {
  readonly fingerprint: number
  readonly history: readonly RoundRecord[]
  readonly best: { readonly round: number; readonly value: number } | null
  readonly random: Readonly<Partial<Record<keyof Booster['random'], RandomState>>>
}

/**
 * Saves a run. Scores are kept as they are, with the rounding that dropping and adding left in them: computed anew from the
 * trees they would differ in their last bits.
 */
export function saveCheckpoint(setUp: SetUp, { history, best }: Progress, fingerprint: number): Uint8Array {
  const { booster } = setUp
  const { drops, rows, goss, columns, nodes } = booster.random
  const meta: Meta = {
    fingerprint,
    history,
    best: best ? { round: best.round, value: best.value } : null,
    random: {
      drops: drops.state(),
      rows: rows.state(),
      goss: goss.state(),
      columns: columns.state(),
      nodes: nodes.state(),
    },
  }
  const scores = boards(booster).map((board) => board.scores.map((block) => block.view()))
  return pack({
    kind: KIND,
    version: VERSION,
    meta,
    arrays: {
      weights: booster.treeWeights,
      ...packTrees(booster.trees),
      ...Object.fromEntries(
        scores.flatMap((outputs, board) => outputs.map((values, output) => [`scores ${board} ${output}`, values])),
      ),
      ...(best ? { bestWeights: best.weights, bestScores: best.scores } : {}),
    },
  })
}

/**
 * Puts a new booster in the saved state.
 *
 * @throws FtError `FINGERPRINT_MISMATCH` when data or options are others; `CORRUPT_DATA`, `CHECKSUM_MISMATCH`,
 * `VERSION_UNSUPPORTED` for the bytes
 */
export function restoreCheckpoint(setUp: SetUp, bytes: Uint8Array, fingerprint: number): Progress {
  const where = 'train: resume'
  const { meta, arrays } = unpack(bytes, { where, kind: KIND, version: VERSION })
  const saved = meta as Meta
  if (saved.fingerprint !== fingerprint) {
    throw new FtError('FINGERPRINT_MISMATCH', `${where}: the checkpoint belongs to other data or options`)
  }
  const { booster } = setUp
  const doubles = (name: string): Float64Array => {
    const array = arrays[name]
    if (array instanceof Float64Array) return array
    throw new FtError('CORRUPT_DATA', `${where}: no array ${name}`, { name })
  }
  // Trees of `continueFrom` stand in the booster already.
  const known = booster.trees.length
  setUp.adopt(unpackTrees(arrays, where).slice(known), doubles('weights'))
  boards(booster).forEach((board, b) => {
    board.scores.forEach((block, output) => block.view().set(doubles(`scores ${b} ${output}`)))
  })
  for (const name of ['drops', 'rows', 'goss', 'columns', 'nodes'] as const) {
    const state = saved.random[name]
    // Files from before a stream was there come from runs that did not draw from it.
    if (state) booster.random[name] = restoreRandom(state)
  }
  const best = saved.best && { ...saved.best, weights: doubles('bestWeights'), scores: doubles('bestScores') }
  return { history: [...saved.history], best: best ?? undefined }
}

const boards = ({ training, validation }: Booster) => [training, ...validation]

/** A number that tells runs apart: by the content and length of each part, in order. */
export function fingerprintOf(parts: readonly (ArrayBufferView | string)[]): number {
  let all = ''
  for (const part of parts) {
    const bytes =
      typeof part === 'string'
        ? new TextEncoder().encode(part)
        : new Uint8Array(part.buffer, part.byteOffset, part.byteLength)
    all += `${crc32(bytes)} ${bytes.length};`
  }
  return crc32(new TextEncoder().encode(all))
}
