// Whether numbers are finite, without a call an element.

/** 0 times a finite number is 0, times any other NaN; a sum of zeros is 0. */
export function allFinite(values: Float32Array): boolean {
  let sum = 0
  for (let i = 0; i < values.length; i++) sum += values[i]! * 0
  return sum === 0
}
