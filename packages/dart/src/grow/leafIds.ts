// Leaf numbers of rows: written by the grower for its own rows, found by following the tree for others.
import type { Arena, Block } from '../arena.ts'
import { forRange } from '../arena.ts'
import type { BinnedRows } from '../binning.ts'
import type { GrownTree } from './growTree.ts'

/** Leaf of each row under one tree: one byte a row, two where the tree has more than 256 leaves. */
export interface LeafIds {
  readonly wide: boolean
  readonly block: Block<Uint8Array>
}

export function allocateLeafIds(arena: Arena, rows: number, leaves: number): LeafIds {
  const wide = leaves > 256
  return { wide, block: arena.bytes(rows * (wide ? 2 : 1)) }
}

/** From the grower's final partition: only rows that the tree was grown on. */
export function fillFromPartition(arena: Arena, rows: Block<Uint32Array>, grown: GrownTree, ids: LeafIds): void {
  const assign = arena.kernels[ids.wide ? 'assignLeaf16' : 'assignLeaf8']
  grown.leaves.forEach(({ start, end }, leaf) => assign?.(rows.address, start, end, ids.block.address, leaf))
}

/** A tree as the routing kernel reads it: 16 bytes an inner node. */
export interface BinnedTree {
  readonly nodes: Uint8Array
  readonly leaves: number
}

export function binnedTree({ tree, bins }: GrownTree): BinnedTree {
  const count = tree.feature.length
  const nodes = new Uint8Array(count * 16)
  const view = new DataView(nodes.buffer)
  for (let node = 0; node < count; node++) {
    const at = node * 16
    view.setUint16(at, tree.feature[node] as number, true)
    view.setUint8(at + 2, bins[node] as number)
    view.setUint8(at + 3, tree.missingLeft[node] as number)
    view.setInt32(at + 4, tree.left[node] as number, true)
    view.setInt32(at + 8, tree.right[node] as number, true)
  }
  return { nodes, leaves: tree.value.length }
}

/** Follows a tree for all rows of a binned matrix. */
export function routeAll(arena: Arena, data: BinnedRows, tree: BinnedTree, ids: LeafIds): void {
  if (tree.nodes.length === 0) {
    ids.block.view().fill(0)
    return
  }
  const nodes = arena.bytes(tree.nodes.length)
  nodes.view().set(tree.nodes)
  forRange(arena, 'routeRows', { count: data.rows }, (start, end) => [
    data.bins.address,
    data.stride,
    start,
    end,
    nodes.address,
    0,
    ids.block.address,
    Number(ids.wide),
  ])
  arena.free(nodes)
}

/** scores += factor * value[leaf of row]. */
export function addTree(
  arena: Arena,
  {
    ids,
    values,
    factor,
    rows,
    scores,
  }: { ids: LeafIds; values: Float64Array; factor: number; rows: number; scores: Block<Float64Array> },
): void {
  const table = arena.doubles(values.length)
  table.view().set(values.map((value) => value * factor))
  forRange(arena, ids.wide ? 'gather16' : 'gather8', { count: rows }, (start, end) => [
    ids.block.address,
    table.address,
    start,
    end,
    scores.address,
  ])
  arena.free(table)
}
