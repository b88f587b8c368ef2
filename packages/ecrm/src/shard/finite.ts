// Whether numbers are finite, without a call an element.

/** 0 times a finite number is 0, times any other NaN; a sum of zeros is 0. */
export function allFinite(values: Float32Array): boolean {
  // Four sums, as one alone would wait for itself at every value.
  let [first, second, third, fourth] = [0, 0, 0, 0]
  const whole = values.length - (values.length % 4)
  for (let i = 0; i < whole; i += 4) {
    first += values[i]! * 0
    second += values[i + 1]! * 0
    third += values[i + 2]! * 0
    fourth += values[i + 3]! * 0
  }
  for (let i = whole; i < values.length; i++) first += values[i]! * 0
  return first + second + third + fourth === 0
}
