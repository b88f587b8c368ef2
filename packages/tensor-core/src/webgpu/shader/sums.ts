// WGSL: sums of check values, and reductions over a workgroup.
//
// A float32 sum is a pair, the rounded sum and what rounding lost (Knuth's TwoSum): a sum of thousands of elements is exact
// to about 2^-44 of their magnitudes. Compilers of drivers take x - (x - y) for y, which loses the second number (Mesa's does);
// so intermediate values pass through a bit operation with a parameter that is zero, which they cannot know. Integer sums wrap
// around and are exact.
import { invocations, type Tile } from '../tile.ts'

export function declareSums(integer: boolean): string {
  return `${integer ? integerSums : pairSums}
fn sumsTotal(x: Sums) -> Sum {
  return sumAdd(sumAdd(sumsLane(x, 0u), sumsLane(x, 1u)), sumAdd(sumsLane(x, 2u), sumsLane(x, 3u)));
}
`
}

const integerSums = `
alias Sum = i32;
fn sumOf(x: i32) -> Sum { return x; }
fn sumAdd(x: Sum, y: Sum) -> Sum { return x + y; }
fn sumScaled(x: i32, y: Sum, sum: Sum) -> Sum { return sum + x * y; }
fn storeSum(first: u32, index: u32, x: Sum) { out[first + index] = x; }
alias Sums = vec4<i32>;
fn sumsAdd(x: Sums, y: vec4<i32>) -> Sums { return x + y; }
fn sumsLane(x: Sums, lane: u32) -> Sum { return x[lane]; }
`

const pairSums = `
alias Sum = vec2<f32>;
fn sumOf(x: f32) -> Sum { return Sum(x, 0.0); }
fn kept(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) ^ p.zero); }
fn sumAdd(x: Sum, y: Sum) -> Sum {
  let s = kept(x.x + y.x);
  let t = kept(s - x.x);
  let u = kept(s - t);
  return Sum(s, x.y + y.y + ((x.x - u) + (y.x - t)));
}
// The first twelve bits of a number, whose products with twelve bits are exact.
fn head(x: f32) -> f32 { return bitcast<f32>(bitcast<u32>(x) & 0xfffff000u); }
// sum + x y. What rounding the product lost is taken from halves (Dekker, 1971): WGSL's fma may be two roundings.
fn sumScaled(x: f32, y: Sum, sum: Sum) -> Sum {
  let product = kept(x * y.x);
  let high = vec2<f32>(head(x), head(y.x));
  let low = vec2<f32>(x, y.x) - high;
  let lost = ((high.x * high.y - product) + high.x * low.y + low.x * high.y) + low.x * low.y;
  let total = sumAdd(sum, Sum(product, lost));
  return Sum(total.x, fma(x, y.y, total.y));
}
fn storeSum(first: u32, index: u32, x: Sum) {
  out[first + 2u * index] = x.x;
  out[first + 2u * index + 1u] = x.y;
}
// Four sums side by side.
struct Sums { high: vec4<f32>, low: vec4<f32> }
fn keptFour(x: vec4<f32>) -> vec4<f32> { return bitcast<vec4<f32>>(bitcast<vec4<u32>>(x) ^ vec4<u32>(p.zero)); }
fn sumsAdd(x: Sums, y: vec4<f32>) -> Sums {
  let s = keptFour(x.high + y);
  let t = keptFour(s - x.high);
  let u = keptFour(s - t);
  return Sums(s, x.low + ((x.high - u) + (y - t)));
}
fn sumsLane(x: Sums, lane: u32) -> Sum { return Sum(x.high[lane], x.low[lane]); }
`

/** Adds one sum of each invocation over the workgroup's rows or columns, in a fixed tree. All invocations must call. */
export function declareReductions(tile: Tile): string {
  return `
var<workgroup> lanes: array<Sum, ${invocations(tile)}>;
${reduction('addAcross', tile.across, 'ty * ACROSS + tx', 'tx', 1)}
${reduction('addDown', tile.down, 'ty * ACROSS + tx', 'ty', tile.across)}
`
}

function reduction(name: string, size: number, own: string, index: string, stride: number): string {
  return `
fn ${name}(x: Sum, tx: u32, ty: u32) -> Sum {
  let own = ${own};
  lanes[own] = x;
  for (var half = ${size / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (${index} < half) { lanes[own] = sumAdd(lanes[own], lanes[own + half * ${stride}u]); }
  }
  workgroupBarrier();
  let total = lanes[own - ${index} * ${stride}u];
  workgroupBarrier();
  return total;
}`
}
