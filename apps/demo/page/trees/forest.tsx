// An ensemble drawn: its latest trees, those dropped in this round greyed, and the weight of every tree below.
import { memo } from 'react'
import type { DrawnTree, Name, Round } from './messages.ts'

interface ForestProps {
  readonly name: Name
  /** Up to the round that is shown. */
  readonly rounds: readonly Round[]
}

const SHOWN = 18
const WIDTH = 96
const HEIGHT = 64

export function Forest({ name, rounds }: ForestProps) {
  const trees = rounds.map(({ tree }) => tree)
  const { weights = [], dropped = [] } = rounds.at(-1) ?? {}
  const out = new Set(dropped)
  const first = Math.max(0, trees.length - SHOWN)
  const largest = Math.max(1e-9, ...weights)
  return (
    <section className="forest" aria-label={`${name}: ${trees.length} trees, ${out.size} dropped in this round`}>
      <h3>
        {name}{' '}
        <small>
          {trees.length} trees{out.size > 0 ? `, ${out.size} left out of this round` : ''}
        </small>
      </h3>
      <div className="trees">
        {trees.slice(first).map((tree, i) => {
          const index = first + i
          return (
            <div key={index} className={out.has(index) ? 'tree dropped' : 'tree'}>
              <TreeDrawing tree={tree} />
              <span>
                {index + 1}
                <small> × {(weights[index] ?? 0).toFixed(3)}</small>
              </span>
            </div>
          )
        })}
      </div>
      <svg
        className="weights"
        viewBox={`0 0 ${Math.max(60, weights.length)} 20`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`Weights of the ${weights.length} trees, largest ${largest.toFixed(3)}`}
      >
        {weights.map((weight, i) => (
          <rect
            key={i}
            x={i + 0.1}
            width={0.8}
            y={20 - (19 * weight) / largest}
            height={(19 * weight) / largest}
            className={out.has(i) ? 'dropped' : ''}
          />
        ))}
      </svg>
    </section>
  )
}

/** Node and leaf positions: leaves side by side, inner nodes above the middle of theirs. */
const TreeDrawing = memo(function TreeDrawing({ tree }: { readonly tree: DrawnTree }) {
  const { lines, leaves } = layOut(tree)
  const scale = Math.max(1e-9, ...tree.value.map(Math.abs))
  return (
    <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} aria-hidden="true">
      <path d={lines} />
      {leaves.map(({ x, y, leaf }) => {
        const value = tree.value[leaf] ?? 0
        // Later is filled, on time is open; the size is the leaf's value
        return (
          <circle
            key={leaf}
            cx={x}
            cy={y}
            r={1 + 2.4 * Math.sqrt(Math.abs(value) / scale)}
            className={value > 0 ? 'late' : 'early'}
          />
        )
      })}
    </svg>
  )
})

function layOut({ left, right, value }: DrawnTree): {
  lines: string
  leaves: { x: number; y: number; leaf: number }[]
} {
  const leaves: { x: number; y: number; leaf: number }[] = []
  const lines: string[] = []
  const depth = depthOf({ left, right }, left.length > 0 ? 0 : ~0)
  const step = (HEIGHT - 12) / Math.max(1, depth)
  const place = (node: number, level: number): { x: number; y: number } => {
    const y = 6 + level * step
    if (node < 0) {
      const x = (WIDTH * (leaves.length + 0.5)) / Math.max(1, value.length)
      leaves.push({ x, y, leaf: ~node })
      return { x, y }
    }
    const [l, r] = [place(left[node] ?? ~0, level + 1), place(right[node] ?? ~0, level + 1)]
    const x = (l.x + r.x) / 2
    for (const child of [l, r])
      lines.push(`M${x.toFixed(1)} ${y.toFixed(1)}L${child.x.toFixed(1)} ${child.y.toFixed(1)}`)
    return { x, y }
  }
  place(left.length > 0 ? 0 : ~0, 0)
  return { lines: lines.join(''), leaves }
}

function depthOf(tree: { left: readonly number[]; right: readonly number[] }, node: number): number {
  if (node < 0) return 0
  return 1 + Math.max(depthOf(tree, tree.left[node] ?? ~0), depthOf(tree, tree.right[node] ?? ~0))
}
