// Trees of other programs, node by node, into trees of ours: numbered anew from the root, so that cycles and nodes that hang
// nowhere come to light.
import { FtError } from '@ft/core'
import { MOST_LEVELS } from '../data/schema.ts'
import { createTree, SET_WORDS, type Tree } from '../tree.ts'

export type RawNode =
  | { readonly value: number; readonly cover: number }
  | {
      readonly feature: number
      /** Largest float32 that goes left; ignored with a set. */
      readonly threshold: number
      /** Codes that go left. */
      readonly set?: Uint32Array
      readonly missingLeft: boolean
      readonly gain: number
      readonly cover: number
      readonly left: number
      readonly right: number
    }

/**
 * Follows a tree from its root.
 *
 * @param source.at - node by number, undefined where there is none
 * @throws FtError `CORRUPT_DATA` naming the node, for cycles and children that are not there
 */
export function treeFrom(source: { root: number; at: (id: number) => RawNode | undefined; where: string }): Tree {
  const { root, at, where } = source
  const inner: Exclude<RawNode, { value: number }>[] = []
  const leaves: { value: number; cover: number }[] = []
  const children: [number, number][] = []
  const numbers = new Map<number, number>()
  const queue = [root]
  for (let i = 0; i < queue.length; i++) {
    const id = queue[i] as number
    const node = at(id)
    if (!node) throw new FtError('CORRUPT_DATA', `${where}: no node ${id}`, { node: id })
    if (numbers.has(id))
      throw new FtError('CORRUPT_DATA', `${where}: node ${id} has two parents or is its own`, { node: id })
    if ('value' in node) {
      numbers.set(id, ~leaves.length)
      leaves.push(node)
      continue
    }
    numbers.set(id, inner.length)
    inner.push(node)
    children.push([node.left, node.right])
    queue.push(node.left, node.right)
  }
  const sets = inner.flatMap(({ set }) => (set ? [set] : []))
  let set = 0
  const numberOf = (id: number): number => numbers.get(id) as number
  return createTree({
    feature: Uint16Array.from(inner, ({ feature }) => feature),
    threshold: Float32Array.from(inner, (node) => (node.set ? NaN : node.threshold)),
    missingLeft: Uint8Array.from(inner, ({ missingLeft }) => Number(missingLeft)),
    left: Int32Array.from(children, ([left]) => numberOf(left)),
    right: Int32Array.from(children, ([, right]) => numberOf(right)),
    value: Float64Array.from(leaves, ({ value }) => value),
    gain: Float64Array.from(inner, ({ gain }) => gain),
    nodeCover: Float64Array.from(inner, ({ cover }) => cover),
    leafCover: Float64Array.from(leaves, ({ cover }) => cover),
    setAt: Int32Array.from(inner, (node) => (node.set ? set++ : -1)),
    sets: Uint32Array.from(sets.flatMap((words) => [...words])),
  })
}

/** A tree of one leaf. */
export function constantTree(value: number): Tree {
  return treeFrom({ root: 0, at: () => ({ value, cover: 0 }), where: '' })
}

/** A set of codes as words. */
export function setOf(codes: Iterable<number>): Uint32Array {
  const words = new Uint32Array(SET_WORDS)
  for (const code of codes) words[code >> 5] = (words[code >> 5] as number) | (1 << (code & 31))
  return words
}

/** Codes of a node's set, ascending. */
export function codesIn(tree: Tree, set: number): number[] {
  return Array.from({ length: MOST_LEVELS }, (_, code) => code).filter(
    (code) => ((tree.sets[set * SET_WORDS + (code >> 5)] as number) >>> (code & 31)) & 1,
  )
}

const bits = new DataView(new ArrayBuffer(4))

/** The next float32 above x: x <= t says the same of float32 values as x < the next above t. */
export function floatAbove(x: number): number {
  return step(x, 1)
}

/** The next float32 below x. */
export function floatBelow(x: number): number {
  return step(x, -1)
}

/** The largest float32 that is not above x: what a float32 value is compared with in place of a float64. */
export function floatAtMost(x: number): number {
  const near = Math.fround(x)
  return near > x ? floatBelow(near) : near
}

function step(x: number, direction: 1 | -1): number {
  if (x === direction * Infinity || x !== x) return x
  if (x === 0) {
    bits.setUint32(0, direction > 0 ? 1 : 0x80000001)
    return bits.getFloat32(0)
  }
  bits.setFloat32(0, x)
  const word = bits.getUint32(0)
  bits.setUint32(0, x > 0 === direction > 0 ? word + 1 : word - 1)
  return bits.getFloat32(0)
}
