// Pictures of trees: every node and leaf is there, nothing from outside gets in, and Graphviz's text is whole.
import { describe, expect, it } from 'vitest'
import { train, treeDot, treeSvg } from '../src/index.ts'
import { makeData } from './support/made.ts'

const names = ['a <b>', '"q" & \\', 'c', 'd', 'kind', 'f']
async function trained(rounds = 2) {
  const made = makeData(300, { missing: 0.1 })
  const features = names.map((_, c) =>
    made.list.map((x) => (c === 4 ? ['red', 'green', 'blue'][Math.floor((x[4] || 0) * 3)] : x[c])),
  )
  const rows = made.list.map((_, row) => Object.fromEntries(names.map((name, c) => [name, features[c]?.[row]])))
  const label = made.label.map((y, row) => y + (rows[row]?.['kind'] === 'red' ? 9 : 0))
  return train({ features: rows, label }, { objective: 'squared', rounds, maxDepth: 4 })
}

const count = (text: string, part: RegExp): number => [...text.matchAll(part)].length

describe('treeSvg', () => {
  it('has a box for every node, a bar for every leaf, a line for every child but the root', async () => {
    const { model } = await trained()
    const svg = treeSvg(model, 1)
    const tree = model.trees[1]!
    expect(count(svg, /class="box"/g)).toBe(tree.feature.length)
    expect(count(svg, /class="(up|down)"/g)).toBe(tree.value.length)
    expect(count(svg, /<path /g)).toBe(2 * tree.feature.length)
    // Each node sends missing values one way.
    expect(count(svg, / \?<\/text>/g)).toBe(tree.feature.length)
    expect(svg).toContain('kind in {')
  })

  it('escapes names, and places everything inside', async () => {
    const { model } = await trained(6)
    for (let t = 0; t < 6; t++) {
      const svg = treeSvg(model, t)
      expect(svg).not.toMatch(/<b>|"q"|& /)
      const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number) as [number, number, number]
      for (const [, x, y] of svg.matchAll(/ x="([-\d.]+)" y="([-\d.]+)"/g)) {
        expect(Number(x)).toBeGreaterThanOrEqual(0)
        expect(Number(x)).toBeLessThan(width)
        expect(Number(y)).toBeGreaterThan(0)
        expect(Number(y)).toBeLessThan(height)
      }
      // Tags close: as many as open.
      expect(count(svg, /<(g|text|title|svg|path|style)[ >]/g)).toBe(count(svg, /<\/(g|text|title|svg|path|style)>/g))
    }
  })

  it('draws the thickest lines where most rows go', async () => {
    const { model } = await trained(1)
    const tree = model.trees[0]!
    const widths = [...treeSvg(model, 0).matchAll(/stroke-width="([\d.]+)"/g)].map(([, width]) => Number(width))
    const share = (child: number): number =>
      ((child >= 0 ? tree.nodeCover[child] : tree.leafCover[~child]) as number) / tree.nodeCover[0]!
    const shares: number[] = []
    const walk = (child: number): void => {
      shares.push(share(child))
      if (child < 0) return
      walk(tree.left[child]!)
      walk(tree.right[child]!)
    }
    walk(tree.left[0]!)
    walk(tree.right[0]!)
    widths.forEach((width, i) => expect(Math.abs(width - 1 - 7 * shares[i]!)).toBeLessThan(0.051))
  })

  it('draws a tree of one leaf; refuses one that is not there, and one too large to see', async () => {
    const one = await train(makeData(50), { objective: 'squared', rounds: 1, minRows: 50 })
    expect(treeSvg(one.model, 0)).toContain('1 leaf,')
    expect(treeDot(one.model, 0)).toContain('l0 [')
    expect(() => treeSvg(one.model, 1)).toThrow(/no tree 1 of 1/)
    expect(() => treeDot(one.model, 1)).toThrow(/no tree 1 of 1/)
    const made = makeData(3000)
    const large = await train(made, { objective: 'squared', rounds: 1, growth: 'leaf', maxLeaves: 1500, l2: 0 })
    expect(() => treeSvg(large.model, 0)).toThrow(/leaves; pictures have up to 1024/)
  })
})

describe('treeDot', () => {
  it('names every node, leaf and line once, and quotes what is in names', async () => {
    const { model } = await trained()
    const tree = model.trees[0]!
    const dot = treeDot(model, 0)
    expect(count(dot, / -> /g)).toBe(2 * tree.feature.length)
    expect(count(dot, /style=dashed/g)).toBe(tree.feature.length)
    for (let leaf = 0; leaf < tree.value.length; leaf++) expect(count(dot, new RegExp(`-> l${leaf} `, 'g'))).toBe(1)
    for (let node = 1; node < tree.feature.length; node++) expect(count(dot, new RegExp(`-> n${node} `, 'g'))).toBe(1)
    for (const [, label] of dot.matchAll(/label="((?:[^"\\]|\\.)*)"\]/g)) expect(label).toBeTruthy()
    expect(count(dot, /label="(?:[^"\\\n]|\\.)*"\]\n/g)).toBe(tree.feature.length + tree.value.length)
  })
})
