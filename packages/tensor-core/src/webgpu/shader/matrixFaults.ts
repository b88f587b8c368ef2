// WGSL of the instrumented kernel with subgroup matrices: each strike is made by one invocation, with barriers around it.
import { sites, type EffectCodes } from './faults.ts'
import { blocks, type MatrixVariant as V } from './matrixVariant.ts'

export function declareMatrixStrikes(codes: EffectCodes): string {
  return `
// Staged operands and weights; a struck value is rounded to float16 again.
fn strikeStaged(item: u32, row0: u32, column0: u32, step0: u32) {
  for (var i = 0u; i < p.eventCount; i++) {
    let e = event(i);
    if (e.site == ${sites.operand}u) {
      let row = e.row - item * p.m - row0;
      let step = e.step - step0;
      if (row0 + row >= p.m || row >= GROUP_ROWS || step >= DEPTH) { continue; }
      tileA[row * LINE_A + step] = f16(struck(f32(tileA[row * LINE_A + step]), e));
    }
    if (e.site == ${sites.weight}u) {
      let step = e.step - p.ownWeights * item * p.k - step0;
      let column = e.column - column0;
      if (step0 + step >= p.k || step >= DEPTH || column >= GROUP_COLUMNS) { continue; }
      tileB[step * LINE_B + column] = f16(struck(f32(tileB[step * LINE_B + column]), e));
    }
  }
}

// The element of an event in the workgroup's blocks [i, j]: its place, and whether it is there.
fn placeOf(e: Event, item: u32, row0: u32, column0: u32, i: u32, j: u32) -> vec2<u32> {
  let row = e.row - item * p.m - row0;
  let column = e.column - column0;
  let there = e.row - item * p.m < p.m && row < GROUP_ROWS && column < GROUP_COLUMNS
    && (row % ROWS) / MM == i && (column % COLUMNS) / MN == j;
  let subgroup = (row / ROWS) * ACROSS + column / COLUMNS;
  return vec2<u32>(subgroup * BLOCK + (row % MM) * MN + column % MN, select(0u, 1u, there));
}

fn strikeBlock(item: u32, row0: u32, column0: u32, i: u32, j: u32) {
  for (var x = 0u; x < p.eventCount; x++) {
    let e = event(x);
    let place = placeOf(e, item, row0, column0, i, j);
    if (e.site == ${sites.output}u && place.y == 1u) { block[place.x] = struck(block[place.x], e); }
  }
}

// An accumulator after the block of steps that the event's step is in: no step of a block can be told from another.
fn strikeAccumulator(e: Event, at: u32, item: u32, row0: u32, column0: u32, step0: u32) {
  let x = block[at];
  let row = e.row - item * p.m - row0;
  let a_ = f32(tileA[row * LINE_A + e.step - step0]);
  let b_ = f32(tileB[(e.step - step0) * LINE_B + e.column - column0]);
  if (e.effect == ${codes.dropTerm}u) { block[at] = x - a_ * b_; }
  else if (e.effect == ${codes.doubleTerm}u) { block[at] = x + a_ * b_; }
  else { block[at] = struck(x, e); }
}
`
}

/** Puts each block that an event strikes in workgroup memory and takes it back. */
export const strikeMatrices = (v: V, guard: (body: string) => string): string => `
      for (var x = 0u; x < p.eventCount; x++) {
        let e = event(x);
        let step = e.step - step0 - s;
        if (e.site != ${sites.accumulator}u || step >= MK) { continue; }
${blocks(
  v,
  (i, j) => `
        {
          let place = placeOf(e, item, row0, column0, ${i}u, ${j}u);
          if (place.y == 1u) {
${guard(`            subgroupMatrixStore<row_major>(&block, subgroup * BLOCK, c${i}_${j}, MN);`)}
            workgroupBarrier();
            if (own == 0u) { strikeAccumulator(e, place.x, item, row0, column0, step0); }
            workgroupBarrier();
${guard(`            c${i}_${j} = subgroupMatrixLoad<Result, row_major>(&block, subgroup * BLOCK, MN);`)}
            workgroupBarrier();
          }
        }`,
)}
      }`
