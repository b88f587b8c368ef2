// The two arithmetics of a product: T is f32 (a step is one float32) or i32 (a step is a pair of int16 values).

/** c + x * b: fused where SIMD is relaxed, rounded twice where it is strict. */
// @ts-ignore: decorator
@inline
export function madd<T>(x: v128, b: v128, c: v128): v128 {
  if (isFloat<T>()) {
    if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(x, b, c)
    return f32x4.add(c, f32x4.mul(x, b))
  }
  return i32x4.add(c, i32x4.dot_i16x8_s(x, b))
}

/** The same of float64. */
// @ts-ignore: decorator
@inline
export function madd64(x: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f64x2.relaxed_madd(x, b, c)
  return f64x2.add(c, f64x2.mul(x, b))
}

// @ts-ignore: decorator
@inline
export function add<T>(a: v128, b: v128): v128 {
  if (isFloat<T>()) return f32x4.add(a, b)
  return i32x4.add(a, b)
}

/** log2 of the bytes of a check sum: float64 for float products, int32 (wrapping) for integers. */
// @ts-ignore: decorator
@inline
export function sumShift<T>(): usize {
  return isFloat<T>() ? 3 : 2
}

/** The lower two lanes as float64. */
// @ts-ignore: decorator
@inline
export function low(x: v128): v128 {
  return f64x2.promote_low_f32x4(x)
}

/** The upper two lanes as float64. */
// @ts-ignore: decorator
@inline
export function high(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 1))
}

/** Sum of four float32 lanes in float64. */
// @ts-ignore: decorator
@inline
export function sumLanes(x: v128): f64 {
  const pair = f64x2.add(low(x), high(x))
  return f64x2.extract_lane(pair, 0) + f64x2.extract_lane(pair, 1)
}

/** Sum of four int32 lanes, wrapping. */
// @ts-ignore: decorator
@inline
export function sumIntegers(x: v128): i32 {
  return (
    i32x4.extract_lane(x, 0) + i32x4.extract_lane(x, 1) + (i32x4.extract_lane(x, 2) + i32x4.extract_lane(x, 3))
  )
}

/** Adds one element of type T to the check sum at `at`. */
// @ts-ignore: decorator
@inline
export function addElementTo<T>(at: usize, element: usize): void {
  if (isFloat<T>()) store<f64>(at, load<f64>(at) + <f64>load<f32>(element))
  else store<i32>(at, load<i32>(at) + load<i32>(element))
}

/** Adds four elements to four neighbouring check sums. */
// @ts-ignore: decorator
@inline
export function addVectorTo<T>(at: usize, x: v128): void {
  if (isFloat<T>()) {
    v128.store(at, f64x2.add(v128.load(at), low(x)))
    v128.store(at, f64x2.add(v128.load(at, 16), high(x)), 16)
  } else v128.store(at, i32x4.add(v128.load(at), x))
}
