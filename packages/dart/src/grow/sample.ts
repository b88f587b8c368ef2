// What a tree sees: its rows with their packed derivatives, and its columns.
import type { Random } from '@ft/core/random'
import { forRange, type Block } from '../arena.ts'
import type { Units } from './growTree.ts'
import type { Workspace } from './workspace.ts'

/** Writes the tree's rows, ascending, into the workspace; returns how many they are. */
export function sampleRows(space: Workspace, fraction: number, random: Random): number {
  const { rows } = space.data
  const list = space.rows.view()
  if (fraction === 1) {
    for (let row = 0; row < rows; row++) list[row] = row
    return rows
  }
  const count = Math.max(1, Math.round(rows * fraction))
  list.set(random.sample(rows, count, { ascending: true }))
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
 * Packs gradients and hessians of the tree's rows into integers, scaled by powers of two so that their sums fit 32 bits.
 * The scales follow the data: the largest that sum(|g|) and sum(h) allow, so nothing ever overflows.
 */
export function packGradients(
  space: Workspace,
  count: number,
  gradients: Block<Float64Array>,
  hessians: Block<Float64Array>,
): Units {
  const { arena, sums, rows, gh, data } = space
  // One thread and one order: the scales must not depend on the number of threads. All rows bound any sample of them.
  arena.kernels['magnitudes']?.(gradients.address, hessians.address, 0, data.rows, sums.address)
  const [gradient = 0, hessian = 0] = sums.view()
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
    gh.address,
  ])
  return { gradient: 1 / scaleG, hessian: 1 / scaleH }
}

/** Largest power of two not above x, within reason. */
function powerBelow(x: number): number {
  if (!(x < 2 ** 60)) return 2 ** 60
  let power = 2 ** 60
  while (power > x) power /= 2
  return power
}
