// Comparison of WebGPU products with the reference, with bounds that follow from the kernel. Throws plain errors, so
// that the checks run in a page as they run in Node.
import type { CheckSums, Product, Tensor } from '@ft/core'

const u = 2 ** -24

export function assert(condition: boolean, message: () => string): void {
  if (!condition) throw new Error(message())
}

/** Largest |a[i] - b[i]|; NaN beside NaN and equal infinities differ by nothing. */
function distance(a: ArrayLike<number>, b: ArrayLike<number>): number {
  assert(a.length === b.length, () => `lengths ${a.length} and ${b.length}`)
  let largest = 0
  for (let i = 0; i < a.length; i++) {
    if (Object.is(a[i], b[i]) || a[i] === b[i]) continue
    const d = Math.abs((a[i] as number) - (b[i] as number))
    if (!(d <= largest)) largest = d
  }
  return largest
}

function near(what: string, pair: [ArrayLike<number> | undefined, ArrayLike<number> | undefined], bound: number): void {
  const [ours, theirs] = pair
  assert((ours === undefined) === (theirs === undefined), () => `${what}: one of the two is missing`)
  if (ours === undefined || theirs === undefined) return
  const d = distance(ours, theirs)
  assert(d <= bound, () => `${what}: off by ${d}, more than ${bound}`)
}

export function sameBits(a: Tensor, b: Tensor): void {
  assert(a.shape.join() === b.shape.join(), () => `shapes [${a.shape.join()}] and [${b.shape.join()}]`)
  assert(a.dtype === b.dtype, () => `types ${a.dtype} and ${b.dtype}`)
  const words = ({ data }: Tensor) => new Uint32Array(data.buffer, data.byteOffset, data.length)
  const [x, y] = [words(a), words(b)]
  const at = x.findIndex((word, i) => word !== y[i])
  assert(at < 0, () => `element ${at}: ${String(a.data[at])} is not ${String(b.data[at])}`)
}

export interface Magnitude {
  readonly m: number
  readonly n: number
  readonly k: number
  /** Largest |a| |b| of operands; default 1. */
  readonly product?: number
  /** Elements of C in a tile of `tileSums`, at most; default 64. */
  readonly tile?: number
}

/** An element is a chain of k fused multiply-adds (Higham 2002, section 3.1); the reference rounds once. |c| <= k. */
export const elementBound = ({ k, product = 1 }: Magnitude): number => (k + 2) * u * Math.max(1, k) * product

/**
 * Sums over C carry each element's error; their own additions are pairs, exact to 2^-44. Predicted sums are float32
 * chains of at most 16 steps (and, for tiles, of as many times the terms that one accumulator takes: 128 elements a
 * tile at most), then pairs; the last rounds are of the folds. All of at most `terms` k products.
 */
export function compareProducts(ours: Product, theirs: Product, magnitude: Magnitude): void {
  const { m, n, k, product = 1, tile: elements = 64 } = magnitude
  const element = elementBound(magnitude)
  const chain = (steps: number, terms: number): number => (steps + 3) * u * terms * Math.max(1, k) * product
  assert(ours.output.shape.join() === theirs.output.shape.join(), () => `shape [${ours.output.shape.join()}]`)
  // GELU enlarges differences by at most 1.13, and its formula is off by 2e-7 max(1, |x|).
  const size = Math.max(1, k) * product + 2
  const finished = 1.2 * element + u * size + 2.5e-7 * size
  near('output', [ours.output.data, theirs.output.data], finished)
  const check = (name: 'rowSums' | 'columnSums' | 'tileSums' | 'replica', b: { actual: number; expected: number }) => {
    const [x, y]: (CheckSums | undefined)[] = [ours[name], theirs[name]]
    near(`${name}.actual`, [x?.actual, y?.actual], b.actual)
    near(`${name}.expected`, [x?.expected, y?.expected], b.expected)
  }
  check('rowSums', { actual: n * element + chain(1, n), expected: chain(16, n) })
  check('columnSums', { actual: m * element + chain(1, m), expected: chain(16, m) })
  const tile = { actual: elements * element + chain(1, elements), expected: chain(16 * elements, elements) }
  check('tileSums', tile)
  check('replica', tile)
  for (const name of ['tileSums', 'replica'] as const)
    assert(ours[name]?.grid.join() === theirs[name]?.grid.join(), () => `${name}: grid [${ours[name]?.grid.join()}]`)
  near('total', [ours.total, theirs.total], m * n * element + chain(1, m * n))
  near('nextChecksum', [ours.nextChecksum?.data, theirs.nextChecksum?.data], m * finished + chain(1, m))
  const shape = (p: Product) => p.nextChecksum?.shape.join()
  assert(shape(ours) === shape(theirs), () => `nextChecksum: shape [${shape(ours)}]`)
  near('rowStatistics.sum', [ours.rowStatistics?.sum, theirs.rowStatistics?.sum], chain(16, 1))
  // Squares of elements of at most 1.
  near('rowStatistics.squares', [ours.rowStatistics?.squares, theirs.rowStatistics?.squares], chain(16, 1))
  near('rowStatistics.min', [ours.rowStatistics?.min, theirs.rowStatistics?.min], 0)
  near('rowStatistics.max', [ours.rowStatistics?.max, theirs.rowStatistics?.max], 0)
}

/** Integer products agree exactly in everything. */
export function compareIntegers(ours: Product, theirs: Product): void {
  sameBits(ours.output, theirs.output)
  for (const name of ['rowSums', 'columnSums', 'tileSums', 'replica'] as const)
    for (const side of ['actual', 'expected'] as const)
      near(`${name}.${side}`, [ours[name]?.[side], theirs[name]?.[side]], 0)
  near('total', [ours.total, theirs.total], 0)
  near('nextChecksum', [ours.nextChecksum?.data, theirs.nextChecksum?.data], 0)
  for (const name of ['sum', 'min', 'max'] as const)
    near(`rowStatistics.${name}`, [ours.rowStatistics?.[name], theirs.rowStatistics?.[name]], 0)
}

/** Indices whose two sums differ by more than 0.01: rounding stays far below it in the checks, faults above. */
export function disagreements(p: Product): Record<'rowSums' | 'columnSums' | 'tileSums' | 'replica', number[]> {
  const of = (sums: CheckSums | undefined): number[] =>
    Array.from(sums?.actual ?? [], (value, i) => [value - (sums?.expected[i] as number), i] as const)
      .filter(([difference]) => !(Math.abs(difference) <= 0.01))
      .map(([, i]) => i)
  return { rowSums: of(p.rowSums), columnSums: of(p.columnSums), tileSums: of(p.tileSums), replica: of(p.replica) }
}

/** Elements that differ, and by how much. */
export function changes(a: Tensor, b: Tensor): [index: number, by: number][] {
  return Array.from(a.data as Float32Array, (x, i): [number, number, boolean] => {
    const y = b.data[i] as number
    return [i, x - y, !Object.is(x, y)]
  })
    .filter(([, , differs]) => differs)
    .map(([i, by]) => [i, by])
}

export async function codeOf(run: () => Promise<unknown>): Promise<string> {
  try {
    await run()
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  return 'no error'
}
