// What happens to a flagged region: the same kernel computes its rows again, and float64 says which of the two is right.
import type { Fault, MatmulEngine, TypedArray } from '@ft/core'
import { gamma, type Rounding } from './rounding.ts'
import type { Alarm } from './checks.ts'
import type { Outcome } from './report.ts'

/** Outputs of a row: float32, or int32 of an integer product. */
type Values = Float32Array | Int32Array

/** How to get at one row of a product, whatever made it. */
export interface RowAccess {
  readonly engine: MatmulEngine
  /** 'exact' for integers, whose arithmetic is modulo 2^32. */
  readonly rounding: Rounding | 'exact'
  readonly k: number
  /** Outputs of the row as they are now: final values, and where they lie. */
  read(item: number, row: number): Values
  write(item: number, row: number, values: Values): void
  /** The engine's kernel on this row alone: the final values, and those before bias and activation. */
  rerun(item: number, row: number): Promise<{ final: Values; plain: Values }>
  /** Operand row, and the original weights' column-wise access `[k, n]`. */
  operand(item: number, row: number): TypedArray
  weight(item: number, step: number, column: number): number
}

/** Rows that a region covers. */
export function rowsOf({ region }: Alarm, m: number): number[] {
  switch (region.kind) {
    case 'row':
    case 'element':
      return [region.row]
    case 'tile':
      return Array.from({ length: region.rows[1] - region.rows[0] }, (_, i) => region.rows[0] + i)
    case 'column':
    case 'product':
      return Array.from({ length: m }, (_, i) => i)
  }
}

/**
 * Decides about one row, and corrects it.
 *
 * The kernel's bits depend on operands alone, so a second run that differs proves a transient fault, and is the
 * correction: bit-identical to a clean run. Where both runs agree, float64 decides: values outside the deterministic
 * bound mean that the kernel is wrong both times (packed weights, a stuck unit); values inside it, a false alarm.
 */
export async function settleRow(access: RowAccess, item: number, row: number, correct: boolean): Promise<Outcome> {
  const a = access.operand(item, row)
  for (const value of a) if (!Number.isFinite(value)) return 'input'
  const now = access.read(item, row)
  const { final, plain } = await access.rerun(item, row)
  const same = sameBits(now, final)
  const exact = float64Row(access, item, a, plain.length)
  let agrees = true
  for (let j = 0; j < plain.length; j++)
    agrees &&= withinRounding(plain[j] as number, exact.values[j] as number, exact.magnitudes[j] as number, access)
  if (!agrees) return exact.values.every((value) => Math.abs(value) <= LARGEST) ? 'uncorrectable' : 'input'
  if (same) return 'false-alarm'
  if (!correct) return 'reported'
  access.write(item, row, final)
  return 'corrected'
}

/** Largest finite float32. */
const LARGEST = 3.4028234663852886e38

function withinRounding(value: number, exact: number, magnitude: number, { rounding, k }: RowAccess): boolean {
  // Sums of products of 8 bits stay exact in float64 for any k below 2^37.
  if (rounding === 'exact') return value === (exact | 0)
  const bound =
    rounding.stored * Math.abs(exact) + gamma(rounding.chain(k) + 1, rounding.accumulated) * magnitude + 2 ** -149
  return Math.abs(value - exact) <= bound
}

function float64Row(
  access: RowAccess,
  item: number,
  a: TypedArray,
  n: number,
): { values: Float64Array; magnitudes: Float64Array } {
  const [values, magnitudes] = [new Float64Array(n), new Float64Array(n)]
  for (let step = 0; step < a.length; step++) {
    const x = a[step] as number
    if (x === 0) continue
    for (let j = 0; j < n; j++) {
      const term = x * access.weight(item, step, j)
      values[j] = (values[j] as number) + term
      magnitudes[j] = (magnitudes[j] as number) + Math.abs(term)
    }
  }
  return { values, magnitudes }
}

function sameBits(a: Values, b: Values): boolean {
  const [x, y] = [bitsOf(a), bitsOf(b)]
  return x.length === y.length && x.every((bits, i) => bits === y[i])
}

function bitsOf(values: Values): Uint32Array {
  return new Uint32Array(values.slice().buffer)
}

/** Faults that strike a second run too: an instrumented engine's persistent ones in its packed weights. */
export function lasting(faults: readonly Fault[] | undefined): { faults?: readonly Fault[] } {
  const left = faults?.filter((fault) => fault.persistent === true && fault.site.kind === 'packed-weight') ?? []
  return left.length > 0 ? { faults: left } : {}
}
