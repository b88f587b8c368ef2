// One tree as a picture, and as text for Graphviz.
import { FtError } from '@ft/core'
import type { Model } from '../model.ts'
import type { Tree } from '../tree.ts'
import { questionOf } from './question.ts'

/** Distance of leaves, width of a level and of a box, in pixels. */
const ROW = 26
const LEVEL = 190
const BOX = 150
const HEIGHT = 22
const MARGIN = 16
const TITLE = 44
/** Letters that fit a box. */
const LETTERS = 22
/** Above it neither page nor reader can do anything with the picture. */
const MOST_LEAVES = 1024

interface Placed {
  /** A node, or ~leaf. */
  readonly node: number
  readonly depth: number
  /** Middle of its box. */
  readonly y: number
  readonly parent: Placed | undefined
  readonly isLeft: boolean
}

/**
 * Draws one tree as a self-contained SVG: root on the left, the answer yes above, no below. Lines are as thick as the share of rows (by
 * sum of hessians) that takes them, leaves carry value times weight of the tree and a bar of that size; the line that missing values
 * take has a question mark. Colours follow the reader's light or dark setting; text is escaped.
 *
 * @throws FtError `INVALID_ARGUMENT` for a tree that is not there, or of more than 1,024 leaves
 * @example
 * ```ts
 * import { train } from '@ft/dart'
 * const features = { data: Float32Array.of(0, 1, 2, 3), rows: 4, columns: 1, names: ['x'] }
 * const { model } = await train({ features, label: [1, 1, 5, 5] }, { objective: 'squared', rounds: 1 })
 * treeSvg(model, 0).includes('x &lt;= 1.5') // => true
 * ```
 */
export function treeSvg(model: Model, index: number): string {
  const tree = treeOf(model, index, 'treeSvg')
  const leaves = tree.value.length
  if (leaves > MOST_LEAVES) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `treeSvg: tree ${index} has ${leaves} leaves; pictures have up to ${MOST_LEAVES}`,
    )
  }
  const weight = model.weights[index] as number
  const largest = tree.value.reduce((most, value) => Math.max(most, Math.abs(value * weight)), 0) || 1
  const placed = place(tree)
  const depth = placed.reduce((most, one) => Math.max(most, one.depth), 0)
  const width = Math.max(2 * MARGIN + depth * LEVEL + BOX, tree.feature.length > 1 ? 560 : 240)
  const height = TITLE + leaves * ROW + MARGIN
  const total = coverOf(tree, tree.feature.length === 0 ? ~0 : 0) || 1
  const lines = placed.flatMap((one) => (one.parent ? [lineTo(tree, one, coverOf(tree, one.node) / total)] : []))
  const boxes = placed.map((one) =>
    one.node >= 0 ? question(model, tree, one) : leaf(one, (tree.value[~one.node] as number) * weight, largest),
  )
  const title = `Tree ${index} of ${model.trees.length}`
  const about = `${leaves} ${leaves === 1 ? 'leaf' : 'leaves'}, weight ${short(weight)}`
  const legend = 'lines as thick as their share of the rows; ? where missing values go'
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" class="ft-tree" role="img" aria-label="${title}, ${about}" width="${width}" height="${height}" ` +
    `viewBox="0 0 ${width} ${height}" font-family="system-ui, sans-serif" font-size="12"><style>${THEME}</style>` +
    `<rect class="page" width="${width}" height="${height}"/>` +
    `<text x="${MARGIN}" y="20" font-size="14" font-weight="600">${title}</text>` +
    `<text x="${MARGIN}" y="36" class="muted">${about}${tree.feature.length > 1 ? `; ${legend}` : ''}</text>` +
    `${lines.join('')}${boxes.join('')}</svg>`
  )
}

const THEME =
  '.ft-tree{--text:#1c2024;--muted:#5b636b;--page:#fff;--box:#f2f4f6;--edge:#9aa4ae;--up:#1f6fb5;--down:#b5561f;max-width:100%;height:auto}' +
  '@media (prefers-color-scheme:dark){.ft-tree{--text:#e6e9ec;--muted:#9aa4ae;--page:#15181b;--box:#23282d;--edge:#5b666f;--up:#6db0ea;--down:#ee9a63}}' +
  '.ft-tree text{fill:var(--text)}.ft-tree .muted{fill:var(--muted)}.ft-tree .page{fill:var(--page)}' +
  '.ft-tree .box{fill:var(--box);stroke:var(--edge)}.ft-tree path{fill:none;stroke:var(--edge)}' +
  '.ft-tree .up{fill:var(--up)}.ft-tree .down{fill:var(--down)}'

function treeOf(model: Model, index: number, where: string): Tree {
  const tree = model.trees[index]
  if (tree) return tree
  throw new FtError('INVALID_ARGUMENT', `${where}: no tree ${index} of ${model.trees.length}`, { index })
}

const coverOf = (tree: Tree, child: number): number =>
  (child >= 0 ? tree.nodeCover[child] : tree.leafCover[~child]) as number

/** Leaves below each other in the order of the tree, nodes in the middle of their children. */
function place(tree: Tree): Placed[] {
  const all: Placed[] = []
  let rows = 0
  const walk = (node: number, depth: number, parent: { y: number } | undefined, isLeft: boolean): number => {
    // The children need their parent's place, which is known after theirs: it is filled in then.
    const one = { node, depth, y: 0, parent: parent as Placed | undefined, isLeft }
    all.push(one)
    if (node < 0) one.y = TITLE + ROW * (rows++ + 0.5)
    else {
      const above = walk(tree.left[node] as number, depth + 1, one, true)
      one.y = (above + walk(tree.right[node] as number, depth + 1, one, false)) / 2
    }
    return one.y
  }
  walk(tree.feature.length === 0 ? ~0 : 0, 0, undefined, true)
  return all
}

const leftOf = ({ depth }: Placed): number => MARGIN + depth * LEVEL
const coordinate = (x: number): string => String(Number(x.toFixed(1)))
const short = (x: number): string => String(Number(x.toPrecision(4)))

function lineTo(tree: Tree, one: Placed, share: number): string {
  const parent = one.parent as Placed
  const [x0, x1] = [leftOf(parent) + BOX, leftOf(one)]
  const middle = (x0 + x1) / 2
  const thick = coordinate(1 + 7 * share)
  const takesMissing = (tree.missingLeft[parent.node] === 1) === one.isLeft
  const path = `M${x0} ${coordinate(parent.y)}C${middle} ${coordinate(parent.y)} ${middle} ${coordinate(one.y)} ${x1} ${coordinate(one.y)}`
  const percent = `${Number((100 * share).toPrecision(3))} % of the rows`
  const answer = `${one.isLeft ? 'yes' : 'no'}${takesMissing ? ', missing' : ''}`
  const label = `<text x="${x1 - 4}" y="${coordinate(one.isLeft ? one.y - 5 : one.y + 13)}" text-anchor="end" font-size="10" class="muted">${one.isLeft ? 'yes' : 'no'}${takesMissing ? ' ?' : ''}</text>`
  return `<path d="${path}" stroke-width="${thick}"><title>${answer}: ${percent}</title></path>${label}`
}

function question(model: Model, tree: Tree, one: Placed): string {
  const whole = questionOf(model, tree, one.node)
  const shown = whole.length > LETTERS ? `${whole.slice(0, LETTERS - 1)}…` : whole
  const gain = tree.gain[one.node] as number
  const about = `${whole}\ngain ${short(gain)}, missing ${tree.missingLeft[one.node] === 1 ? 'yes' : 'no'}`
  return (
    `<g><title>${escape(about)}</title><rect class="box" rx="4" x="${leftOf(one)}" y="${coordinate(one.y - HEIGHT / 2)}" width="${BOX}" height="${HEIGHT}"/>` +
    `<text x="${leftOf(one) + 8}" y="${coordinate(one.y + 4)}">${escape(shown)}</text></g>`
  )
}

/** A bar from the middle of the box, to the right for values above 0. */
function leaf(one: Placed, value: number, largest: number): string {
  const bar = (40 * Math.abs(value)) / largest
  const axis = leftOf(one) + 46
  return (
    `<rect class="${value < 0 ? 'down' : 'up'}" x="${coordinate(value < 0 ? axis - bar : axis)}" y="${coordinate(one.y - 6)}" width="${coordinate(bar)}" height="12"/>` +
    `<text x="${axis + 46}" y="${coordinate(one.y + 4)}">${value < 0 ? '−' : '+'}${short(Math.abs(value))}</text>`
  )
}

function escape(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
}

/**
 * One tree in Graphviz's language: `dot -Tsvg` draws it. Leaves carry value times weight of the tree; dashed lines are those that missing
 * values take.
 *
 * @throws FtError `INVALID_ARGUMENT` for a tree that is not there
 */
export function treeDot(model: Model, index: number): string {
  const tree = treeOf(model, index, 'treeDot')
  const name = (child: number): string => (child >= 0 ? `n${child}` : `l${~child}`)
  const quoted = (text: string): string => `"${text.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  const lines = [`digraph tree${index} {`, '  rankdir=LR', '  node [shape=box]']
  for (let node = 0; node < tree.feature.length; node++) {
    lines.push(`  n${node} [label=${quoted(questionOf(model, tree, node))}]`)
    for (const side of ['left', 'right'] as const) {
      const takesMissing = (tree.missingLeft[node] === 1) === (side === 'left')
      const style = takesMissing ? ', style=dashed' : ''
      lines.push(`  n${node} -> ${name(tree[side][node] as number)} [label=${side === 'left' ? 'yes' : 'no'}${style}]`)
    }
  }
  tree.value.forEach((value, leaf) => {
    lines.push(`  l${leaf} [shape=plain, label="${short(value * (model.weights[index] as number))}"]`)
  })
  return `${lines.join('\n')}\n}\n`
}
