// Elementary functions with the same bits on every machine. ECMAScript leaves the accuracy of Math.exp and Math.log to
// the engine; these use only +, -, *, / and comparisons of float64, which IEEE 754 rounds in one way. Math.sqrt and
// Math.fround are exactly rounded by the language and need no twin.

const LN2_HIGH = 0.6931471803691238 // the first 32 bits of ln 2: k * LN2_HIGH is exact for |k| < 2^20
const LN2_LOW = 1.9082149292705877e-10 // ln 2 - LN2_HIGH
const LOG2_E = 1.4426950408889634

const word = new Float64Array(1)
const halves = new Uint32Array(word.buffer)
const HIGH = new Uint8Array(new Uint16Array([1]).buffer)[0] === 1 ? 1 : 0

/** 2^k at index k + 1074, for -1074 <= k <= 1023. A table, because writing halves and reading the whole is slow. */
const POWERS = /* @__PURE__ */ powersOfTwo()

function powersOfTwo(): Float64Array {
  const powers = new Float64Array(2098)
  for (let i = 0, power = Number.MIN_VALUE; i < powers.length; i++, power *= 2) powers[i] = power
  return powers
}

/**
 * e^x, the same bits on every machine.
 *
 * Guarantees: error below 1 ulp where the result is normal, below 1.5 units of 2^-1074 where it is subnormal.
 * `exp(0)` is 1, overflow gives Infinity, underflow 0. Not promised to be monotonic.
 * Cost: about 15 multiplications.
 *
 * @see Muller, "Elementary Functions", section 11.2: range reduction by ln 2 in two parts
 * @example
 * ```ts
 * exp(1) // => 2.718281828459045
 * ```
 */
export function exp(x: number): number {
  if (x !== x) return x
  if (x > 709.782712893384) return Infinity
  if (x < -745.1332191019412) return 0
  // x = k ln 2 + r + c with |r| <= (ln 2) / 2, c the rounding error of r
  const k = Math.floor(x * LOG2_E + 0.5)
  const high = x - k * LN2_HIGH
  const low = k * LN2_LOW
  const r = high - low
  const c = high - r - low
  // Taylor to r^13, odd and even terms apart; the first term left out is below 2^-57
  const z = r * r
  const even = 1 / 24 + z * (1 / 720 + z * (1 / 40320 + z * (1 / 3628800 + z * (1 / 479001600))))
  const odd = 1 / 120 + z * (1 / 5040 + z * (1 / 362880 + z * (1 / 39916800 + z * (1 / 6227020800))))
  const tail = 1 / 6 + (r * even + z * odd)
  const mantissa = 1 + (r + (0.5 * z + (z * r * tail + c * (1 + r))))
  if (k > 1022) return mantissa * 2 * (POWERS[k + 1073] as number)
  // A subnormal result is rounded twice, by the last product only
  return k >= -1022 ? mantissa * (POWERS[k + 1074] as number) : mantissa * (POWERS[k + 1138] as number) * 2 ** -64
}

/**
 * Natural logarithm, the same bits on every machine.
 *
 * Guarantees: error below 1 ulp; `log(1)` is 0, `log(0)` is -Infinity, a negative number gives NaN.
 * Cost: one division and about 20 multiplications.
 *
 * @see Muller, "Elementary Functions", chapter 11; log(1 + f) = 2 artanh(f / (2 + f))
 * @example
 * ```ts
 * log(10) // => 2.302585092994046
 * ```
 */
export function log(x: number): number {
  if (!(x > 0)) return x === 0 ? -Infinity : NaN
  if (x === Infinity) return Infinity
  if (x < 2.2250738585072014e-308) return logOfProduct(x * 18014398509481984, -54) // 2^54 makes x normal
  return logOfProduct(x, 0)
}

/** log(x 2^shift) for a normal x. */
function logOfProduct(x: number, shift: number): number {
  word[0] = x
  let k = ((halves[HIGH] as number) >>> 20) - 1023
  let m = x * (POWERS[1074 - k] as number)
  if (m > Math.SQRT2) {
    m *= 0.5
    k += 1
  }
  k += shift
  // m in [sqrt(1/2), sqrt(2)]
  const f = m - 1
  const s = f / (2 + f)
  const z = s * s
  // 2 artanh(s) = 2 s + s R, R = 2 (z/3 + z^2/5 + ...), odd and even terms apart; what is left out is below 2^-60
  const w = z * z
  const odd = z * (2 / 3 + w * (2 / 7 + w * (2 / 11 + w * (2 / 15 + w * (2 / 19 + w * (2 / 23))))))
  const even = w * (2 / 5 + w * (2 / 9 + w * (2 / 13 + w * (2 / 17 + w * (2 / 21)))))
  const series = odd + even
  // 2 s = f - f^2/2 + s f^2/2, so that the largest term is f, which is exact
  const half = 0.5 * f * f
  return k * LN2_HIGH - (half - (s * (half + series) + k * LN2_LOW) - f)
}

/**
 * log(1 + x) without losing small x, the same bits on every machine.
 *
 * Guarantees: error below 3 ulp for x > -1; `log1p(-1)` is -Infinity.
 *
 * @see Higham, "Accuracy and Stability of Numerical Algorithms", section 1.14.1: the quotient's errors cancel
 * @example
 * ```ts
 * log1p(1e-20) // => 1e-20
 * ```
 */
export function log1p(x: number): number {
  const u = 1 + x
  if (u === 1 || u === Infinity) return u === 1 ? x : u
  return u > 0 ? log(u) * (x / (u - 1)) : log(u)
}
