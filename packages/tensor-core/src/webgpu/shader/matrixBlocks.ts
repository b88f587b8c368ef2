// WGSL of what needs elements of C, in the kernel with subgroup matrices: a block of each subgroup lies in workgroup memory,
// and any invocation takes any part of it. Its row, column and tile sums, its finish, and the next layer's checksum.
import { needsRows, ownTasks, partialsOf, predictsTiles, tasks, type MatrixVariant as V } from './matrixVariant.ts'

/** What is done with a block of each subgroup while it lies in workgroup memory. */
export function declareBlocks(v: V): string {
  return `
// First row and column in C of the block [i, j] of a subgroup.
fn blockRow(subgroup: u32, row0: u32, i: u32) -> u32 { return row0 + (subgroup / ACROSS) * ROWS + i * MM; }
fn blockColumn(subgroup: u32, column0: u32, j: u32) -> u32 { return column0 + (subgroup % ACROSS) * COLUMNS + j * MN; }

// Sums over the block's elements inside C: others are zero, whatever infinities met in them.
fn sumBlock(item: u32, row0: u32, column0: u32, i: u32, j: u32, own: u32) {
${needsRows(v) ? tasks('SUBGROUPS * MM', sumRowsOfBlock) : ''}
${v.columnSums ? tasks('SUBGROUPS * MN', sumColumnsOfBlock) : ''}
${needsRows(v) || v.columnSums ? '  workgroupBarrier();' : ''}
}

// Bias, activation and storing, four neighbours of a row at a time.
fn finishBlock(item: u32, row0: u32, column0: u32, i: u32, j: u32, own: u32) {
${tasks(
  'SUBGROUPS * BLOCK / 4u',
  `
    let subgroup = 4u * t / BLOCK;
    let row = blockRow(subgroup, row0, i) + (4u * t % BLOCK) / MN;
    let column = blockColumn(subgroup, column0, j) + 4u * t % MN;
    if (row >= p.m || column >= p.n) { continue; }
    let raw = vec4<f32>(block[4u * t], block[4u * t + 1u], block[4u * t + 2u], block[4u * t + 3u]);
    let x = finished(raw, item, column);
    for (var lane = 0u; lane < min(4u, p.n - column); lane++) {
      out[outputIndex(item, row, column + lane)] = x[lane];
      ${v.next ? 'block[4u * t + lane] = x[lane];' : ''}
    }`,
)}
}
${v.next ? nextOfBlock : ''}
`
}

const sumRowsOfBlock = `
    let subgroup = t / MM;
    let row = t % MM;
    let column = blockColumn(subgroup, column0, j);
    var sum = Sum();
    if (blockRow(subgroup, row0, i) + row < p.m && column < p.n) {
      for (var c = 0u; c < min(MN, p.n - column); c++) { sum = sumAdd(sum, sumOf(block[subgroup * BLOCK + row * MN + c])); }
    }
    let at = subgroup * ROWS + i * MM + row;
    if (j == 0u) { rowTotals[at] = sum; } else { rowTotals[at] = sumAdd(rowTotals[at], sum); }`

const sumColumnsOfBlock = `
    let subgroup = t / MN;
    let column = t % MN;
    let row = blockRow(subgroup, row0, i);
    var sum = Sum();
    if (row < p.m && blockColumn(subgroup, column0, j) + column < p.n) {
      for (var r = 0u; r < min(MM, p.m - row); r++) { sum = sumAdd(sum, sumOf(block[subgroup * BLOCK + r * MN + column])); }
    }
    let at = subgroup * COLUMNS + j * MN + column;
    if (i == 0u) { columnTotals[at] = sum; } else { columnTotals[at] = sumAdd(columnTotals[at], sum); }`

/** The next checksum: columns of the activation, a class of rows at a time; the same invocation for all rows of a column. */
const nextOfBlock = `
fn sumNext(item: u32, rowGroup: u32, row0: u32, column0: u32, i: u32, j: u32, own: u32) {
${tasks(
  'ACROSS * MN',
  `
    let column = blockColumn(t / MN, column0, j) + t % MN;
    if (column >= p.n) { continue; }
    for (var class_ = 0u; class_ < p.classes; class_++) {
      var sum = Sum();
      for (var d = 0u; d < DOWN; d++) {
        let subgroup = d * ACROSS + t / MN;
        let row = blockRow(subgroup, row0, i);
        for (var r = 0u; r < MM; r++) {
          if (row + r >= p.m) { break; }
          if (p.classes > 1u && marks[row + r] != class_) { continue; }
          sum = sumAdd(sum, sumOf(block[subgroup * BLOCK + r * MN + t % MN]));
        }
      }
      let index = ((item * p.groupsDown + rowGroup) * p.classes + class_) * p.n + column;
      let at = p.nextAt + 2u * index;
      if (i > 0u) { sum = sumAdd(Sum(out[at], out[at + 1u]), sum); }
      storeSum(p.nextAt, index, sum);
    }`,
)}
}
`

export function emitSums(v: V): string {
  const pieces: string[] = []
  if (v.rowActual) pieces.push(tasks('GROUP_ROWS', emitRow))
  if (v.rowExpected || v.rowStatistics) pieces.push(emitPredictedRows(v))
  if (v.columnSums) pieces.push(tasks('GROUP_COLUMNS', emitColumn), emitPredictedColumns)
  if (predictsTiles(v)) pieces.push(gatherPartials(v))
  if (v.tileSums !== undefined || v.replica) pieces.push(tasks('SUBGROUPS', emitTile(v)))
  return pieces.join('\n')
}

const emitRow = `
    var sum = Sum();
    for (var a = 0u; a < ACROSS; a++) { sum = sumAdd(sum, rowTotals[((t / ROWS) * ACROSS + a) * ROWS + t % ROWS]); }
    if (row0 + t < p.m) { storeSum(p.rowActual, (item * p.groupsAcross + group.x) * p.m + row0 + t, sum); }`

const emitColumn = `
    var sum = Sum();
    for (var d = 0u; d < DOWN; d++) { sum = sumAdd(sum, columnTotals[(d * ACROSS + t / COLUMNS) * COLUMNS + t % COLUMNS]); }
    if (column0 + t < p.n) { storeSum(p.columnActual, (item * p.groupsDown + rowGroup) * p.n + column0 + t, sum); }`

const emitPredictedRows = (v: V): string => `
  if (predictsRow) {${ownTasks(
    'GROUP_ROWS',
    `
        if (row0 + t < p.m) {
          let at = item * p.m + row0 + t;
          ${v.rowExpected ? 'storeSum(p.rowExpected, at, rowExpected[q]);' : ''}
          ${v.rowStatistics ? 'storeSum(p.rowSum, at, rowSum[q]);\n          out[p.rowMin + at] = rowMin[q];\n          out[p.rowMax + at] = rowMax[q];\n          storeSum(p.rowSquares, at, rowSquares[q]);' : ''}
        }`,
  )}
  }`

const emitPredictedColumns = `
  if (predictsColumn) {${ownTasks(
    'GROUP_COLUMNS',
    '        if (column0 + t < p.n) { storeSum(p.columnExpected, item * p.n + column0 + t, columnExpected[q]); }',
  )}
  }`

const gatherPartials = (v: V): string => `
${ownTasks(`SUBGROUPS * ${partialsOf(v)}`, '        partials[t] = tileExpected[q];')}
  workgroupBarrier();`

/** Where the sums of subgroup \`t\`'s tile lie. */
const placeOfTile = `
    let firstRow = row0 + (t / ACROSS) * ROWS;
    let panel = group.x * ACROSS + t % ACROSS;
    if (firstRow >= p.m || panel >= p.panels) { continue; }
    let at = (item * ((p.m + ROWS - 1u) / ROWS) + firstRow / ROWS) * p.panels + panel;`

const emitTile = (v: V): string => `${placeOfTile}
    var actual = Sum();
    for (var r = 0u; r < ROWS; r++) { actual = sumAdd(actual, rowTotals[t * ROWS + r]); }
    storeSum(p.tileActual, at, actual);
    ${
      predictsTiles(v)
        ? `var expected = Sum();
    for (var x = 0u; x < ${partialsOf(v)}; x++) { expected = sumAdd(expected, partials[t * ${partialsOf(v)} + x]); }
    storeSum(p.tileExpected, at, expected);`
        : ''
    }`

export const emitReplica = tasks(
  'SUBGROUPS',
  `${placeOfTile}
    var expected = Sum();
    for (var x = 0u; x < BLOCK; x++) { expected = sumAdd(expected, sumOf(block[t * BLOCK + x])); }
    storeSum(p.replicaExpected, at, expected);`,
)
