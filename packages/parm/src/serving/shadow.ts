// Free ground truth: a reconstruction that was given as an answer is compared with the model's own output when that comes
// after all.
import { assertInteger, assertNumber } from '@ft/core'
import { createRandom } from '@ft/core/random'
import type { NamedTensor } from '../named.ts'

export interface ShadowCounts {
  /** Reconstructions whose own output came later. */
  readonly compared: number
  /** Of them, those whose largest element is the same in every output. */
  readonly agreed: number
}

export interface ShadowCheck {
  /** Whether the next reconstruction is to be compared. */
  wants(): boolean
  compare(pair: { readonly reconstructed: readonly NamedTensor[]; readonly own: readonly NamedTensor[] }): void
  counts(): ShadowCounts
}

/**
 * Compares a share of reconstructions. The instance works on for those; nobody waits for it.
 *
 * @param options.share - of reconstructions, 0 to 1
 */
export function shadowCheck({ share, seed }: { readonly share: number; readonly seed: number }): ShadowCheck {
  assertNumber(share, { where: 'shadowCheck', argument: 'share', min: 0, max: 1 })
  assertInteger(seed, { where: 'shadowCheck', argument: 'seed', min: 0 })
  const random = createRandom(seed).stream('shadow')
  let compared = 0
  let agreed = 0
  return {
    wants: () => random.bernoulli(share),
    compare({ reconstructed, own }) {
      compared++
      if (
        own.length === reconstructed.length &&
        own.every(({ data }, t) => largestAt(data) === largestAt(reconstructed[t]?.data ?? []))
      )
        agreed++
    },
    counts: () => ({ compared, agreed }),
  }
}

function largestAt(values: ArrayLike<number>): number {
  let best = 0
  for (let i = 1; i < values.length; i++) if ((values[i] as number) > (values[best] as number)) best = i
  return best
}
