// How rows lie on a Redis node: records in blocks. A block that has never been written is zeros and right as it is: version 0
// stands for the row's initial words, which follow from seed and id, and parity is kept as what the initial rows' parity lacks.
import type { ErasureCode } from '../codes/code.ts'
import { writeInitialRow } from '../shard/initialRows.ts'
import type { ResolvedSpec } from '../shard/spec.ts'
import { initialWords } from '../shard/storage.ts'

/** Records of one kind on one server. */
export interface Shape {
  readonly kind: 'data' | 'parity'
  readonly rows: number
  /** Of a record: the row's, then its version (data) or the version that it contains of each data row of its stripe (parity). */
  readonly words: number
  readonly rowsABlock: number
  readonly blocks: number
}

export interface Shapes {
  readonly data: Shape
  readonly parity: Shape
}

const blockBytes = 2 ** 20

export function shapesOf({ layout, width, k }: ResolvedSpec): Shapes {
  const shape = (kind: Shape['kind'], rows: number, words: number): Shape => {
    const rowsABlock = Math.max(1, Math.floor(blockBytes / (words * 4)))
    return { kind, rows, words, rowsABlock, blocks: Math.ceil(rows / rowsABlock) }
  }
  return { data: shape('data', layout.dataRows, width + 1), parity: shape('parity', layout.parityRows, width + k) }
}

/** Bytes of a block; the last may be shorter. */
export function bytesOfBlock({ rows, words, rowsABlock }: Shape, block: number): number {
  return Math.min(rowsABlock, rows - block * rowsABlock) * words * 4
}

/** A version that no row has: of rows that are not marked, and in parity rows that are of no use. */
export const never = 0xffffffff

/**
 * Adds the initial words to data records of version 0, in place: from what is kept, zeros unless a bit was flipped, to the row,
 * and back.
 */
export function completeData(
  spec: ResolvedSpec,
  server: number,
  locals: ArrayLike<number>,
  records: Uint32Array,
): void {
  const { layout, width } = spec
  for (let i = 0; i < locals.length; i++) {
    const at = i * (width + 1)
    if (records[at + width] !== 0) continue
    const row = new Float32Array(width)
    writeInitialRow(spec, layout.idOf(layout.dataPlace(server, locals[i]!)), row)
    const bits = new Uint32Array(row.buffer)
    for (let j = 0; j < width; j++) records[at + j]! ^= bits[j]!
  }
}

/** Adds the initial rows' parity to a parity row, in place: from what is kept to what the code knows, and back. */
export function addInitialParity(
  spec: ResolvedSpec,
  { code, row, stripe, position }: { code: ErasureCode; row: Uint32Array; stripe: number; position: number },
): void {
  for (let i = 0; i < spec.k; i++)
    code.accumulate(row, initialWords(spec, { stripe, position: i }), { parity: position - spec.k, position: i })
}
