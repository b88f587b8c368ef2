// WGSL: staging of A and B in workgroup memory, a few steps of k at a time, in vectors of four rows or columns.
import { groupColumns, groupRows, invocations, type Tile } from '../tile.ts'

export function declareTiles(tile: Tile): string {
  const [lineA, lineB] = [groupRows(tile) / 4 + 1, groupColumns(tile) / 4 + 1]
  return `
const ROWS = ${tile.rows}u;
const COLUMNS = ${tile.columns}u;
const VECTORS = ${tile.columns / 4}u;
const ACROSS = ${tile.across}u;
const DEPTH = ${tile.depth}u;
const INVOCATIONS = ${invocations(tile)}u;
const GROUP_ROWS = ${groupRows(tile)}u;
const GROUP_COLUMNS = ${groupColumns(tile)}u;
// Vectors of one staged step, one of them unused: neighbouring steps lie in other banks.
const LINE_A = ${lineA}u;
const LINE_B = ${lineB}u;
var<workgroup> tileA: array<vec4<E>, ${tile.depth * lineA}>;
var<workgroup> tileB: array<vec4<E>, ${tile.depth * lineB}>;

// Step and vector that invocation \`index\` loads: neighbours along whichever lies together in memory.
fn slot(index: u32, vectors: u32, stepsFirst: u32) -> vec2<u32> {
  if (stepsFirst != 0u) { return vec2<u32>(index % DEPTH, index / DEPTH); }
  return vec2<u32>(index / vectors, index % vectors);
}

fn stage(item: u32, row0: u32, column0: u32, step0: u32, own: u32) {
  for (var index = own; index < DEPTH * GROUP_ROWS / 4u; index += INVOCATIONS) {
    let at = slot(index, GROUP_ROWS / 4u, p.aStepsFirst);
    let row = row0 + 4u * at.y;
    let step = step0 + at.x;
    tileA[at.x * LINE_A + at.y] = vec4<E>(
      elementA(item, row, step), elementA(item, row + 1u, step),
      elementA(item, row + 2u, step), elementA(item, row + 3u, step));
  }
  for (var index = own; index < DEPTH * GROUP_COLUMNS / 4u; index += INVOCATIONS) {
    let at = slot(index, GROUP_COLUMNS / 4u, p.bStepsFirst);
    let column = column0 + 4u * at.y;
    let step = step0 + at.x;
    tileB[at.x * LINE_B + at.y] = vec4<E>(
      elementB(item, step, column), elementB(item, step, column + 1u),
      elementB(item, step, column + 2u), elementB(item, step, column + 3u));
  }
}
`
}

/** Folds of B for the workgroup's tiles, staged beside B. */
export const stageFolds = (tile: Tile): string => `
var<workgroup> tileF: array<E, ${tile.depth * tile.across}>;
fn stageF(item: u32, step0: u32, panel0: u32, own: u32) {
  for (var index = own; index < DEPTH * ACROSS; index += INVOCATIONS) {
    let step = step0 + index / ACROSS;
    let panel = panel0 + index % ACROSS;
    var fold = E(0);
    if (step < p.k && panel < p.panels) { fold = folds[item * p.foldItem + step * p.panels + panel]; }
    tileF[index] = fold;
  }
}
`
