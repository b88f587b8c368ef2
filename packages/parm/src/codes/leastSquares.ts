// Least squares of a small dense system, by modified Gram-Schmidt.

/**
 * The x that makes |A x - b| smallest; columns of A that depend on earlier ones (to working precision) get zero.
 *
 * Cost: rows x columns^2 multiplications.
 */
export function leastSquares(columns: readonly ArrayLike<number>[], b: ArrayLike<number>): number[] {
  const rest = Float64Array.from(b)
  const basis: Float64Array[] = []
  // R of A = Q R, by columns
  const upper: number[][] = []
  const against: number[] = []
  for (const column of columns) {
    const own = Float64Array.from(column)
    const length = Math.sqrt(dot(own, own))
    const coefficients = basis.map((direction) => remove(own, direction))
    const left = Math.sqrt(dot(own, own))
    const depends = !(left > length * 1e-12)
    for (let i = 0; i < own.length; i++) own[i] = depends ? 0 : (own[i] as number) / left
    basis.push(own)
    upper.push([...coefficients, depends ? 0 : left])
    against.push(remove(rest, own))
  }
  const x = new Array<number>(columns.length).fill(0)
  for (let j = columns.length - 1; j >= 0; j--) {
    let value = against[j] as number
    for (let k = j + 1; k < columns.length; k++) value -= (upper[k]?.[j] as number) * (x[k] as number)
    const pivot = upper[j]?.[j] as number
    x[j] = pivot === 0 ? 0 : value / pivot
  }
  return x
}

/** Takes a unit vector's part out of a vector; how much it was. */
function remove(from: Float64Array, direction: Float64Array): number {
  const amount = dot(from, direction)
  for (let i = 0; i < from.length; i++) from[i] = (from[i] as number) - amount * (direction[i] as number)
  return amount
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let i = 0; i < a.length; i++) sum += (a[i] as number) * (b[i] as number)
  return sum
}
