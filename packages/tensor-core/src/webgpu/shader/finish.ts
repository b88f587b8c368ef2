// WGSL: bias, activation and the place of an element of C.
import { finishBias, finishGelu, finishRelu } from '../params.ts'

export function declareFinish(integer: boolean): string {
  return `
fn outputIndex(item: u32, row: u32, column: u32) -> u32 {
  return item * p.cItem + (row / p.rowsPerOuter) * p.cOuter + (row % p.rowsPerOuter) * p.cRow + column * p.cColumn;
}

// Four neighbours of a row.
fn finished(value: vec4<E>, item: u32, column: u32) -> vec4<E> {
  var x = value;
  if ((p.finish & ${finishBias}u) != 0u) {
    let at = item * p.biasItem + column;
    x += vec4<E>(bias[at], bias[at + 1u], bias[at + 2u], bias[at + 3u]);
  }
  if ((p.finish & ${finishRelu}u) != 0u) { x = select(x, vec4<E>(), negative(x)); }
${integer ? '' : `  if ((p.finish & ${finishGelu}u) != 0u) { x = gelu(x); }`}
  return x;
}
${integer ? 'fn negative(x: vec4<i32>) -> vec4<bool> { return x < vec4<i32>(); }' : negative + gelu}`
}

/** By their bits: drivers may take it that no float is NaN. */
const negative = `
fn negative(x: vec4<f32>) -> vec4<bool> {
  let bits = bitcast<vec4<u32>>(x);
  return (bits > vec4<u32>(0x80000000u)) & (bits <= vec4<u32>(0xff800000u));
}
fn notANumber(x: vec4<f32>) -> vec4<bool> {
  return (bitcast<vec4<u32>>(x) & vec4<u32>(0x7fffffffu)) > vec4<u32>(0x7f800000u);
}
`

/** The wasm engine's formula: absolute error below 2e-7 max(1, |x|), whatever accuracy the driver's exp has. */
const gelu = `
alias V = vec4<f32>;
// e^-y for y in [0, 100]: 2^n e^-r, Taylor to r^6 on |r| <= ln 2 / 2 (remainder below 1.3e-7 relative).
fn expNegative(y: V) -> V {
  let n = round(y * -1.4426950408889634);
  // ln 2 in two parts, so that n times the first is exact.
  let r = -((y + n * 0.693359375) + n * -2.12194440e-4);
  var e = V(1.0 / 720.0);
  e = e * r + 1.0 / 120.0;
  e = e * r + 1.0 / 24.0;
  e = e * r + 1.0 / 6.0;
  e = e * r + 0.5;
  e = e * r + 1.0;
  e = e * r + 1.0;
  // n >= -126 keeps 2^n normal.
  return e * bitcast<V>((vec4<i32>(max(n, V(-126.0))) + 127) << vec4<u32>(23u));
}

// Abramowitz and Stegun 7.1.26 for the error function, absolute error 1.5e-7.
fn gelu(value: V) -> V {
  // Below -14 the result rounds to zero; the bound keeps 0 * infinity out. NaN passes through.
  let x = max(value, V(-14.0));
  let z = abs(min(x, V(14.0))) * 0.7071067811865476;
  let t = 1.0 / (1.0 + z * 0.3275911);
  var e = V(1.061405429);
  e = e * t - 1.453152027;
  e = e * t + 1.421413741;
  e = e * t - 0.284496736;
  e = e * t + 0.254829592;
  let complement = e * t * expNegative(z * z);
  return select(x * 0.5 * select(2.0 - complement, complement, x < V()), value, notANumber(value));
}
`
