// Gradient-based one-side sampling (Ke and others, "LightGBM: A Highly Efficient Gradient Boosting Decision Tree", NeurIPS 2017,
// algorithm 2).
import type { Random } from '@ft/core/random'
import type { Block } from '../arena.ts'
import type { Goss } from '../options.ts'

export interface GossInput {
  /** Rows there are. */
  readonly rows: number
  /** Gets the chosen ones. */
  readonly list: Block<Uint32Array>
  readonly gradients: Block<Float64Array>
  readonly hessians: Block<Float64Array>
  readonly random: Random
}

/**
 * Writes a tree's rows, ascending, into `list`: those with the largest |gradient|, and a uniform sample of the others,
 * whose gradients and hessians are multiplied, in place, so that the sample stands for all of them. Returns how many they are.
 *
 * Differs: the factor is (rows not at the top) / (rows sampled of them), which is the paper's (1 - a) / b up to rounding of
 * counts, and exactly 1 when all are taken. Of equal gradients at the border the first rows are at the top.
 *
 * Cost: five passes over the rows, in one thread; the choice cannot depend on the number of threads.
 */
export function gossRows({ topRate, otherRate }: Goss, input: GossInput): number {
  const { rows } = input
  const [gradients, hessians] = [input.gradients.view(), input.hessians.view()]
  const top = Math.round(topRate * rows)
  const others = Math.min(rows - top, Math.max(1, Math.round(otherRate * rows)))
  const factor = (rows - top) / others
  const border = largest(gradients, top)
  const sampled = others === 0 ? [] : input.random.sample(rows - top, others, { ascending: true })
  const list = input.list.view()
  let [count, ties, rest, next] = [0, border.ties, 0, 0]
  for (let row = 0; row < rows; row++) {
    const size = Math.abs(gradients[row] as number)
    if (size > border.value || (size === border.value && ties-- > 0)) {
      list[count++] = row
    } else if (rest++ === sampled[next]) {
      next++
      list[count++] = row
      gradients[row] = (gradients[row] as number) * factor
      hessians[row] = (hessians[row] as number) * factor
    }
  }
  return count
}

/** Digits of a double's magnitude, most significant first: word, shift, mask. */
const digits = [
  [1, 16, 0x7fff],
  [1, 0, 0xffff],
  [0, 16, 0xffff],
  [0, 0, 0xffff],
] as const

/**
 * The `count`-th largest magnitude, by radix selection: magnitudes of doubles sort like their bits. `ties` of the values equal to it
 * belong to the largest, the others do not.
 */
export function largest(values: Float64Array, count: number): { readonly value: number; readonly ties: number } {
  if (count === 0) return { value: Infinity, ties: 0 }
  const words = new Uint32Array(values.buffer, values.byteOffset, 2 * values.length)
  const found = new Uint32Array(2)
  const known = new Uint32Array(2)
  const counts = new Uint32Array(65_536)
  let ties = count
  for (const [word, shift, mask] of digits) {
    const [low, high, knownLow, knownHigh] = [found[0], found[1], known[0] as number, known[1] as number]
    counts.fill(0)
    for (let at = 0; at < words.length; at += 2) {
      if (((words[at + 1] as number) & knownHigh) >>> 0 !== high || ((words[at] as number) & knownLow) >>> 0 !== low)
        continue
      const digit = ((words[at + word] as number) >>> shift) & mask
      counts[digit] = (counts[digit] as number) + 1
    }
    let digit = mask
    while (digit > 0 && (counts[digit] as number) < ties) ties -= counts[digit--] as number
    found[word] = ((found[word] as number) | (digit << shift)) >>> 0
    known[word] = ((known[word] as number) | (mask << shift)) >>> 0
  }
  return { value: new Float64Array(found.buffer)[0] as number, ties }
}
