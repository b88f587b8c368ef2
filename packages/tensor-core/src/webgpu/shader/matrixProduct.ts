// WGSL of the product by subgroup matrices ("tensor cores"): float16 factors, float32 sums. As the other kernel it has one
// template for the plain product, the emitting and the instrumented ones, with one main loop: an element of C is one chain
// over blocks of k in their order, and its bits depend on its row of A, its column of B and the shape of the blocks only.
//
// A subgroup holds a tile of C in matrices whose elements only the device can reach. So what needs elements (sums, bias,
// activation, storing) goes block by block through workgroup memory, where any invocation may take any part of it.
import { groupColumns, groupRows, invocations, stagedLine } from '../tile.ts'
import { declareEvents, type EffectCodes } from './faults.ts'
import { declareFinish } from './finish.ts'
import { declareBlocks, emitReplica, emitSums } from './matrixBlocks.ts'
import { declareMatrixStrikes, strikeMatrices } from './matrixFaults.ts'
import {
  blocks,
  blocksAcross,
  blocksDown,
  needsRows,
  ownCount,
  ownTasks,
  predictsTiles,
  tasks,
  type MatrixVariant as V,
} from './matrixVariant.ts'
import { declareBuffers, readOperands } from './operands.ts'
import { declareSums } from './sums.ts'
import { times } from './variant.ts'

export function matrixProductShader(variant: V, codes: EffectCodes): string {
  const { storage, gather, instrumented } = variant
  return [
    'enable subgroups;\nenable chromium_experimental_subgroup_matrix;',
    // Control flow is the same for a whole subgroup, which the compiler cannot see where it hangs on the subgroup's number.
    'diagnostic(off, chromium.subgroup_matrix_uniformity);',
    declareBuffers(storage),
    declareSums(false),
    readOperands(storage, gather),
    declareStages(variant),
    declareFinish(false),
    declareBlocks(variant),
    ...(instrumented ? [declareEvents(variant, codes), declareMatrixStrikes(codes)] : []),
    main(variant),
  ].join('\n')
}

function declareStages(v: V): string {
  const { tile, tileSums } = v
  const { matrices, across, down, depth, rows, columns } = tile
  const subgroups = across * down
  const partials = tileSums === 'two-sided' ? depth : rows
  return `
const MM = ${matrices.m}u;
const MN = ${matrices.n}u;
const MK = ${matrices.k}u;
const BLOCK = ${matrices.m * matrices.n}u;
const BLOCKS_ACROSS = ${blocksAcross(v)}u;
const ROWS = ${rows}u;
const COLUMNS = ${columns}u;
const ACROSS = ${across}u;
const DOWN = ${down}u;
const SUBGROUPS = ${subgroups}u;
const DEPTH = ${depth}u;
const INVOCATIONS = ${invocations(tile)}u;
const GROUP_ROWS = ${groupRows(tile)}u;
const GROUP_COLUMNS = ${groupColumns(tile)}u;
// Elements from one staged row of A, or step of B, to the next.
const LINE_A = ${stagedLine(depth)}u;
const LINE_B = ${stagedLine(groupColumns(tile))}u;
alias Left = subgroup_matrix_left<f16, ${matrices.k}, ${matrices.m}>;
alias Right = subgroup_matrix_right<f16, ${matrices.n}, ${matrices.k}>;
alias Result = subgroup_matrix_result<f32, ${matrices.n}, ${matrices.m}>;
var<workgroup> tileA: array<f16, ${groupRows(tile) * stagedLine(depth)}>;
var<workgroup> tileB: array<f16, ${depth * stagedLine(groupColumns(tile))}>;
// A block of C of each subgroup.
var<workgroup> block: array<f32, ${subgroups * matrices.m * matrices.n}>;
${needsRows(v) ? `var<workgroup> rowTotals: array<Sum, ${subgroups * rows}>;` : ''}
${v.columnSums ? `var<workgroup> columnTotals: array<Sum, ${subgroups * columns}>;` : ''}
${predictsTiles(v) ? `var<workgroup> foldB: array<f32, ${depth * across}>;\nvar<workgroup> partials: array<Sum, ${subgroups * partials}>;` : ''}
${tileSums === 'two-sided' ? `var<workgroup> foldA: array<f32, ${depth * down}>;` : ''}

fn stage(item: u32, row0: u32, column0: u32, step0: u32, own: u32) {
  for (var index = own; index < GROUP_ROWS * DEPTH; index += INVOCATIONS) {
    // Neighbours along whichever lies together in memory.
    var at = vec2<u32>(index % GROUP_ROWS, index / GROUP_ROWS);
    if (p.aStepsFirst != 0u) { at = vec2<u32>(index / DEPTH, index % DEPTH); }
    tileA[at.x * LINE_A + at.y] = f16(elementA(item, row0 + at.x, step0 + at.y));
  }
  for (var index = own; index < GROUP_COLUMNS * DEPTH; index += INVOCATIONS) {
    var at = vec2<u32>(index / GROUP_COLUMNS, index % GROUP_COLUMNS);
    if (p.bStepsFirst != 0u) { at = vec2<u32>(index % DEPTH, index / DEPTH); }
    tileB[at.x * LINE_B + at.y] = f16(elementB(item, step0 + at.x, column0 + at.y));
  }
}
`
}

function main(v: V): string {
  const { tile, instrumented } = v
  const guard = (body: string): string => (tile.matrices.varying ? `if (subgroup < SUBGROUPS) {\n${body}\n}` : body)
  return `
@compute @workgroup_size(${invocations(tile)})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_index) own: u32,
  @builtin(subgroup_id) subgroup: u32,
) {
  let item = p.firstItem + group.z;
  let rowGroup = p.firstRowGroup + group.y;
  let row0 = rowGroup * GROUP_ROWS;
  let column0 = group.x * GROUP_COLUMNS;
  // The subgroup's tile in the staged operands.
  let ownRow = (subgroup / ACROSS) * ROWS;
  let ownColumn = (subgroup % ACROSS) * COLUMNS;
${blocks(v, (i, j) => `  var c${i}_${j} = Result();`)}
${v.replica ? '  var copy = Result();' : ''}
${predictions(v)}
  for (var step0 = 0u; step0 < p.k; step0 += DEPTH) {
    stage(item, row0, column0, step0, own);
    ${predictsTiles(v) ? tasks('DEPTH * ACROSS', stageFold) : ''}
    workgroupBarrier();
${predictRows(v)}
${instrumented ? '    workgroupBarrier();\n    if (own == 0u) { strikeStaged(item, row0, column0, step0); }\n    workgroupBarrier();' : ''}
${v.tileSums === 'two-sided' ? `${tasks('DEPTH * DOWN', foldRows)}\n    workgroupBarrier();` : ''}
${predictTiles(v)}
    for (var s = 0u; s < DEPTH; s += MK) {
${guard(multiply(v))}
${instrumented ? strikeMatrices(v, guard) : ''}
    }
${predictColumns(v)}
    workgroupBarrier();
  }

  for (var b = 0u; b < ${blocksDown(v) * blocksAcross(v)}u; b++) {
    let i = b / BLOCKS_ACROSS;
    let j = b % BLOCKS_ACROSS;
${guard(storeOne(v))}
    workgroupBarrier();
    ${instrumented ? 'if (own == 0u) { strikeBlock(item, row0, column0, i, j); }\n    workgroupBarrier();' : ''}
    sumBlock(item, row0, column0, i, j, own);
    finishBlock(item, row0, column0, i, j, own);
    workgroupBarrier();
    ${v.next ? 'sumNext(item, rowGroup, row0, column0, i, j, own);\n    workgroupBarrier();' : ''}
  }
${emitSums(v)}
${v.replica ? `${guard('  subgroupMatrixStore<row_major>(&block, subgroup * BLOCK, copy, MN);')}\n  workgroupBarrier();\n${emitReplica}` : ''}
}
`
}

const stageFold = `
      let step = step0 + t / ACROSS;
      let panel = group.x * ACROSS + t % ACROSS;
      var fold = 0.0;
      if (step < p.k && panel < p.panels) { fold = folds[item * p.foldItem + step * p.panels + panel]; }
      foldB[t] = fold;`

/** Sums of A over the rows of each tile, for two-sided checks. */
const foldRows = `
      var fold = 0.0;
      for (var r = 0u; r < ROWS; r++) { fold += f32(tileA[((t / DEPTH) * ROWS + r) * LINE_A + t % DEPTH]); }
      foldA[t] = fold;`

/** Blocks of A times blocks of B: one step of MK for every block of the tile, and all of them once more in one matrix. */
function multiply(v: V): string {
  return `
${times(blocksDown(v), (i) => `      let l${i} = subgroupMatrixLoad<Left, row_major>(&tileA, (ownRow + ${i}u * MM) * LINE_A + s, LINE_A);`)}
${times(blocksAcross(v), (j) => `      let r${j} = subgroupMatrixLoad<Right, row_major>(&tileB, s * LINE_B + ownColumn + ${j}u * MN, LINE_B);`)}
${blocks(v, (i, j) => `      c${i}_${j} = subgroupMatrixMultiplyAccumulate(l${i}, r${j}, c${i}_${j});`)}
${v.replica ? blocks(v, (i, j) => `      copy = subgroupMatrixMultiplyAccumulate(l${i}, r${j}, copy);`) : ''}`
}

/** Puts block \`b\` of each subgroup's tile where all invocations see it. */
const storeOne = (v: V): string => `
    switch b {
${blocks(v, (i, j) => `      case ${i * blocksAcross(v) + j}u: { subgroupMatrixStore<row_major>(&block, subgroup * BLOCK, c${i}_${j}, MN); }`)}
      default: {}
    }`

function predictions(v: V): string {
  const { tile } = v
  const rows = ownCount(v, groupRows(tile))
  const tileTasks = tile.across * tile.down * (v.tileSums === 'two-sided' ? tile.depth : tile.rows)
  return [
    v.rowExpected || v.rowStatistics ? '  let predictsRow = group.x == 0u;' : '',
    v.rowExpected ? `  var rowExpected: array<Sum, ${rows}>;` : '',
    v.rowStatistics
      ? `  var rowSum: array<Sum, ${rows}>;
  var rowSquares: array<Sum, ${rows}>;
  var rowMin: array<f32, ${rows}>;
  var rowMax: array<f32, ${rows}>;
  for (var q = 0u; q < ${rows}u; q++) { rowMin[q] = bitcast<f32>(p.infinity); rowMax[q] = -bitcast<f32>(p.infinity); }`
      : '',
    v.columnSums
      ? `  let predictsColumn = rowGroup == 0u;\n  var columnExpected: array<Sum, ${ownCount(v, groupColumns(tile))}>;`
      : '',
    predictsTiles(v) ? `  var tileExpected: array<Sum, ${ownCount(v, tileTasks)}>;` : '',
  ].join('\n')
}

/** Row sums A (B e) and the statistics of A, from the staged rows as they were read. */
function predictRows(v: V): string {
  if (!v.rowExpected && !v.rowStatistics) return ''
  return `
    if (predictsRow) {${ownTasks(
      'GROUP_ROWS',
      `
        for (var first = 0u; first < DEPTH; first += MK) {
          ${v.rowStatistics ? 'var sum = 0.0;\n          var squared = 0.0;' : ''}
          for (var s = first; s < min(first + MK, p.k - step0); s++) {
            let x = f32(tileA[t * LINE_A + s]);
            ${v.rowExpected ? 'rowExpected[q] = sumScaled(x, checksum[item * p.checksumItem + step0 + s], rowExpected[q]);' : ''}
            ${v.rowStatistics ? 'sum += x;\n            squared += x * x;\n            if (x < rowMin[q]) { rowMin[q] = x; }\n            if (x > rowMax[q]) { rowMax[q] = x; }' : ''}
          }
          ${v.rowStatistics ? 'rowSum[q] = sumAdd(rowSum[q], sumOf(sum));\n          rowSquares[q] = sumAdd(rowSquares[q], sumOf(squared));' : ''}
        }`,
    )}
    }`
}

/** Column sums (e^T A) B, from the staged columns as the product read them. */
function predictColumns(v: V): string {
  if (!v.columnSums) return ''
  return `
    if (predictsColumn) {${ownTasks(
      'GROUP_COLUMNS',
      `
        for (var s = 0u; s < min(DEPTH, p.k - step0); s++) {
          columnExpected[q] = sumScaled(f32(tileB[s * LINE_B + t]), columnsOfA[item * p.k + step0 + s], columnExpected[q]);
        }`,
    )}
    }`
}

/** Sums of tiles: each row with the fold of B (one-sided), or the fold of A with that of B (two-sided). */
function predictTiles(v: V): string {
  if (v.tileSums === undefined) return ''
  if (v.tileSums === 'two-sided')
    return ownTasks(
      'SUBGROUPS * DEPTH',
      `
        let own_ = t / DEPTH;
        let s = t % DEPTH;
        tileExpected[q] = sumAdd(tileExpected[q], sumOf(foldA[(own_ / ACROSS) * DEPTH + s] * foldB[s * ACROSS + own_ % ACROSS]));`,
    )
  return ownTasks(
    'SUBGROUPS * ROWS',
    `
        let own_ = t / ROWS;
        let line = ((own_ / ACROSS) * ROWS + t % ROWS) * LINE_A;
        var folded = 0.0;
        for (var s = 0u; s < DEPTH; s++) { folded = fma(f32(tileA[line + s]), foldB[s * ACROSS + own_ % ACROSS], folded); }
        tileExpected[q] = sumAdd(tileExpected[q], sumOf(folded));`,
  )
}
