// Layout of trees of any shape in the kernels' memory.
import type { Arena, Block } from './arena.ts'
import { SET_WORDS, type Tree } from './tree.ts'

/** A tree of any shape as the kernel `leafOf` reads it: 20 bytes an inner node, then its sets of codes. */
export function generalTree(arena: Arena, tree: Tree): { nodes: Block<Uint8Array>; sets: Block<Uint32Array> } {
  const nodes = arena.bytes(tree.feature.length * 20)
  const sets = arena.integers(tree.sets.length)
  sets.view().set(tree.sets)
  const view = new DataView(arena.runtime.memory.buffer, nodes.address, nodes.length)
  for (let node = 0; node < tree.feature.length; node++) {
    const at = node * 20
    const set = tree.setAt[node] as number
    view.setFloat32(at, tree.threshold[node] as number, true)
    view.setUint16(at + 4, tree.feature[node] as number, true)
    view.setUint16(at + 6, (tree.missingLeft[node] as number) | (set >= 0 ? CATEGORICAL : 0), true)
    view.setInt32(at + 8, tree.left[node] as number, true)
    view.setInt32(at + 12, tree.right[node] as number, true)
    view.setUint32(at + 16, Math.max(set, 0) * 4 * SET_WORDS, true)
  }
  return { nodes, sets }
}

/** Flag of a node that splits by a set. */
const CATEGORICAL = 2
