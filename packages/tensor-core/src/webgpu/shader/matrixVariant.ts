// What the pieces of the kernel with subgroup matrices share: its variant, and how work is shared out over a workgroup.
import { invocations, type KernelTile } from '../tile.ts'
import type { MatrixShape } from '../matrices.ts'
import { times, type Variant } from './variant.ts'

export interface MatrixVariant extends Variant {
  readonly tile: KernelTile & { readonly matrices: MatrixShape }
}
type V = MatrixVariant

export const blocksDown = ({ tile: { rows, matrices } }: V): number => rows / matrices.m
export const blocksAcross = ({ tile: { columns, matrices } }: V): number => columns / matrices.n
/** The result matrices of a subgroup: `c0_0` and so on. */
export const blocks = (v: V, piece: (i: number, j: number) => string): string =>
  times(blocksDown(v), (i) => times(blocksAcross(v), (j) => piece(i, j)))

export const needsRows = (v: V): boolean => v.rowActual || v.tileSums !== undefined || v.replica
export const predictsTiles = (v: V): boolean => v.tileSums !== undefined
export const partialsOf = (v: V): string => (v.tileSums === 'two-sided' ? 'DEPTH' : 'ROWS')

/** One task for each of \`count\` things, shared out over the invocations. */
export const tasks = (count: string, body: string): string =>
  `for (var t = own; t < ${count}; t += INVOCATIONS) {\n${body}\n}`

/** The same, with a value of its own for each task that an invocation has: \`q\` numbers them. */
export const ownTasks = (count: string, body: string): string => `
    for (var q = 0u; q < (${count} + INVOCATIONS - 1u) / INVOCATIONS; q++) {
      let t = own + q * INVOCATIONS;
      if (t < ${count}) {
${body}
      }
    }`

/** How many of such tasks an invocation has at most. */
export const ownCount = ({ tile }: V, count: number): number => Math.ceil(count / invocations(tile))
