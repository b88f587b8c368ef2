// WGSL: the instrumented build's strikes. Single values change where the fault list's events say; everything else is
// computed as in the plain kernel.
import { times, type Variant, isInteger } from './variant.ts'

/** Words of one event: site, row, column, step, effect, operand. */
export const eventWords = 6
export const sites = { operand: 0, weight: 1, accumulator: 2, output: 3 } as const

/** Effects as `encodeEffect` numbers them. */
export interface EffectCodes {
  readonly xor: number
  readonly and: number
  readonly or: number
  readonly carry: number
  readonly set: number
  readonly add: number
  readonly dropTerm: number
  readonly doubleTerm: number
}

/** The list's events, and what one does to a value. */
export function declareEvents(variant: Variant, codes: EffectCodes): string {
  return `
struct Event { site: u32, row: u32, column: u32, step: u32, effect: u32, operand: u32 }
fn event(i: u32) -> Event {
  let at = p.eventsAt + i * ${eventWords}u;
  return Event(marks[at], marks[at + 1u], marks[at + 2u], marks[at + 3u], marks[at + 4u], marks[at + 5u]);
}

fn struckBits(x: u32, e: Event) -> u32 {
  switch e.effect {
    case ${codes.xor}u: { return x ^ e.operand; }
    case ${codes.and}u: { return x & e.operand; }
    case ${codes.or}u: { return x | e.operand; }
    case ${codes.carry}u, ${codes.add}u: { return x + e.operand; }
    case ${codes.set}u: { return e.operand; }
    default: { return x; }
  }
}

fn struck(x: E, e: Event) -> E {
${isInteger(variant) ? '' : `  if (e.effect == ${codes.add}u) { return x + bitcast<f32>(e.operand); }`}
  return bitcast<E>(struckBits(bitcast<u32>(x), e));
}
`
}

/** Strikes on what invocations stage and hold in registers. */
export function declareStrikes(variant: Variant, codes: EffectCodes): string {
  const integer = isInteger(variant)
  const narrow = variant.storage === 'uint8' ? 'i32(extractBits(bitcast<u32>(x), 0u, 8u))' : 'extractBits(x, 0u, 8u)'
  return `
${integer ? `fn narrowA(x: i32) -> i32 { return ${narrow}; }\nfn narrowB(x: i32) -> i32 { return extractBits(x, 0u, 8u); }` : ''}

// Strikes staged operands and weights, one after the other; the caller has barriers around it.
fn strikeStaged(item: u32, row0: u32, column0: u32, step0: u32) {
  for (var i = 0u; i < p.eventCount; i++) {
    let e = event(i);
    if (e.site == ${sites.operand}u) {
      let row = e.row - item * p.m - row0;
      let step = e.step - step0;
      if (row0 + row >= p.m || row >= GROUP_ROWS || step >= DEPTH) { continue; }
      let at = step * LINE_A + row / 4u;
      tileA[at][row % 4u] = ${integer ? 'narrowA(struck(tileA[at][row % 4u], e))' : 'struck(tileA[at][row % 4u], e)'};
    }
    if (e.site == ${sites.weight}u) {
      let step = e.step - p.ownWeights * item * p.k - step0;
      let column = e.column - column0;
      if (step0 + step >= p.k || step >= DEPTH || column >= GROUP_COLUMNS) { continue; }
      let at = step * LINE_B + column / 4u;
      tileB[at][column % 4u] = ${integer ? 'narrowB(struck(tileB[at][column % 4u], e))' : 'struck(tileB[at][column % 4u], e)'};
    }
  }
}

// A vector of accumulators after one step: x before it, y after it, z with the step's terms twice.
fn strikeLane(x: vec4<E>, y: vec4<E>, z: vec4<E>, lane: u32, e: Event) -> vec4<E> {
  var result = y;
  if (e.effect == ${codes.dropTerm}u) { result[lane] = x[lane]; }
  else if (e.effect == ${codes.doubleTerm}u) { result[lane] = z[lane]; }
  else { result[lane] = struck(y[lane], e); }
  return result;
}
`
}

/** Loops over the events that strike the registers of this invocation: element [row, column], vector `index`. */
const forEachStruck = (site: keyof typeof sites, vectors: number, body: string): string => `
    for (var i = 0u; i < p.eventCount; i++) {
      let e = event(i);
      let row = e.row - item * p.m - row0 - ty * ROWS;
      let column = e.column - column0 - tx * COLUMNS;
      let inItem = e.row - item * p.m < p.m;
      if (e.site == ${sites[site]}u && inItem && row < ROWS && column < COLUMNS) {
        let index = row * ${vectors}u + column / 4u;
        let lane = column % 4u;
        ${body}
      }
    }`

/** Strikes accumulators `c0_0`, `c0_1`... after step `step0 + s`; \`before0_0\`... are those before it. */
export function strikeAccumulators(variant: Variant): string {
  const { rows, columns } = variant.tile
  const vectors = columns / 4
  const cases = times(rows * vectors, (index) => {
    const [i, v] = [Math.floor(index / vectors), index % vectors]
    const c = `c${i}_${v}`
    const twice = isInteger(variant) ? `${c} + x${i} * y${v}` : `fma(vec4<E>(x${i}), y${v}, ${c})`
    return `          case ${index}u: { ${c} = strikeLane(before${i}_${v}, ${c}, ${twice}, lane, e); }`
  })
  const body = `if (e.step != step0 + s) { continue; }
        switch index {\n${cases}\n          default: {}\n        }`
  return forEachStruck('accumulator', vectors, body)
}

/** Strikes finished elements in \`values\`. */
export const strikeOutputs = ({ tile }: Variant): string =>
  forEachStruck('output', tile.columns / 4, 'values[index][lane] = struck(values[index][lane], e);')
