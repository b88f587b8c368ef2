// What a tree sees: its rows with their packed derivatives, and its columns.
import type { Random } from '@ft/core/random'
import { forRange, type Block } from '../arena.ts'
import type { Units } from './growTree.ts'
import type { Workspace } from './workspace.ts'

/** Writes the tree's rows, ascending, into the workspace; returns how many they are. */
export function sampleRows(space: Workspace, fraction: number, random: Random): number {
  const { rows } = space.data
  if (fraction === 1) {
    forRange(space.arena, 'countUp', { count: rows, least: 65_536 }, (start, end) => [space.rows.address, start, end])
    return rows
  }
  const count = Math.max(1, Math.round(rows * fraction))
  space.rows.view().set(random.sample(rows, count, { ascending: true }))
  return count
}

/** One byte a column: whether the tree may use it. */
export function sampleColumns(columns: number, fraction: number, random: Random): Uint8Array {
  const chosen = new Uint8Array(columns)
  if (fraction === 1) return chosen.fill(1)
  for (const column of random.sample(columns, Math.max(1, Math.round(columns * fraction)))) chosen[column] = 1
  return chosen
}

/**
 * Packs gradients and hessians of the tree's rows into integers in their records, scaled by powers of two so that their
 * sums fit 32 bits. The scales follow the data: the largest that sum(|g|) and sum(h) allow, so nothing ever overflows.
 */
export function packGradients(
  space: Workspace,
  count: number,
  gradients: Block<Float64Array>,
  hessians: Block<Float64Array>,
): Units {
  const { arena, rows, data } = space
  const { gradient, hessian } = magnitudes(space, gradients, hessians)
  // Rounding adds at most 1/2 a row; 31 bits for the signed half, 32 for the other.
  const scaleG = powerBelow((2 ** 31 - 1 - data.rows / 2) / gradient)
  const scaleH = powerBelow((2 ** 32 - 1 - data.rows / 2) / hessian)
  forRange(arena, 'quantize', { count }, (start, end) => [
    rows.address,
    start,
    end,
    gradients.address,
    hessians.address,
    scaleG,
    scaleH,
    data.records,
    data.stride,
  ])
  return { gradient: 1 / scaleG, hessian: 1 / scaleH }
}

const BLOCK = 16_384

/**
 * Sums of |gradient| and hessian over all rows, which bound those over any sample of them. Summed in blocks of a fixed size:
 * the scales must not depend on the number of threads.
 */
function magnitudes(
  { arena, data, runs }: Workspace,
  gradients: Block<Float64Array>,
  hessians: Block<Float64Array>,
): Units {
  const blocks = Math.ceil(data.rows / BLOCK)
  const { sums } = runs(blocks)
  forRange(arena, 'magnitudes', { count: blocks, least: 2 }, (first, last) => [
    gradients.address,
    hessians.address,
    data.rows,
    first,
    last,
    sums.address,
  ])
  const found = sums.view()
  let [gradient, hessian] = [0, 0]
  for (let block = 0; block < blocks; block++) {
    gradient += found[2 * block] as number
    hessian += found[2 * block + 1] as number
  }
  return { gradient, hessian }
}

/** Largest power of two not above x, within reason. */
function powerBelow(x: number): number {
  if (!(x < 2 ** 60)) return 2 ** 60
  let power = 2 ** 60
  while (power > x) power /= 2
  return power
}
