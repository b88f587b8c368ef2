// A tree in words.
import { FtError } from '@ft/core'
import type { Model } from '../model.ts'
import { checkDepth } from '../tree.ts'
import { questionOf } from './question.ts'

/**
 * Lines of a tree, one a node, indented by depth; leaves carry the tree's weight.
 *
 * @example
 * ```ts
 * import { train } from '@ft/dart'
 * const features = { data: Float32Array.of(0, 1, 2, 3), rows: 4, columns: 1, names: ['x'] }
 * const { model } = await train({ features, label: [1, 1, 5, 5] }, { objective: 'squared', rounds: 1, dropout: false, learningRate: 1, l2: 0 })
 * dumpTree(model, 0) // => 'x <= 1.5, missing right\n  -2\nelse\n  2'
 * ```
 */
export function dumpTree(model: Model, index: number): string {
  const tree = model.trees[index]
  if (!tree) {
    throw new FtError('INVALID_ARGUMENT', `dumpTree: no tree ${index} of ${model.trees.length}`, { index })
  }
  checkDepth(tree, index, 'dumpTree')
  const weight = model.weights[index] as number
  const lines: string[] = []
  const walk = (node: number, depth: number): void => {
    const indent = '  '.repeat(depth)
    if (node < 0) {
      lines.push(indent + String(Number(((tree.value[~node] as number) * weight).toPrecision(6))))
      return
    }
    lines.push(`${indent}${questionOf(model, tree, node)}, missing ${tree.missingLeft[node] === 1 ? 'left' : 'right'}`)
    walk(tree.left[node] as number, depth + 1)
    lines.push(`${indent}else`)
    walk(tree.right[node] as number, depth + 1)
  }
  walk(tree.feature.length === 0 ? ~0 : 0, 0)
  return lines.join('\n')
}
