// WGSL of the product C = A B, with the sums that its variant emits. One template: the plain kernel, the emitting ones
// and the instrumented one have the same main loop, in which every element of C is one chain of multiply-adds in the
// order of k. So its bits depend on its row of A and its column of B only.
import { declareEvents, declareStrikes, strikeAccumulators, strikeOutputs, type EffectCodes } from './faults.ts'
import { declareFinish } from './finish.ts'
import { declareBuffers, readOperands } from './operands.ts'
import { declareTiles, stageFolds } from './stage.ts'
import { declareReductions, declareSums } from './sums.ts'
import { isInteger, times, type Variant } from './variant.ts'

export function productShader(variant: Variant, codes: EffectCodes): string {
  const { tile, storage, gather, instrumented } = variant
  const integer = isInteger(variant)
  return [
    declareBuffers(storage),
    declareSums(integer),
    readOperands(storage, gather),
    declareTiles(tile),
    ...(variant.tileSums === undefined ? [] : [stageFolds(tile)]),
    ...(variant.rowActual || variant.columnSums || variant.next ? [declareReductions(tile)] : []),
    declareFinish(integer),
    ...(instrumented ? [declareEvents(variant, codes), declareStrikes(variant, codes)] : []),
    main(variant),
  ].join('\n')
}

/** The registers of an invocation: rows i of vectors v, `c0_0` and so on. */
function registers({ tile }: Variant, piece: (i: number, v: number) => string): string {
  return times(tile.rows, (i) => times(tile.columns / 4, (v) => piece(i, v)))
}

function main(variant: Variant): string {
  const { tile, instrumented } = variant
  return `
@compute @workgroup_size(${tile.across}, ${tile.down})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) own: u32,
) {
  let item = p.firstItem + group.z;
  let rowGroup = p.firstRowGroup + group.y;
  let row0 = rowGroup * GROUP_ROWS;
  let column0 = group.x * GROUP_COLUMNS;
  let tx = local.x;
  let ty = local.y;
${registers(variant, (i, v) => `  var c${i}_${v} = vec4<E>();`)}
${predictions(variant)}
  for (var step0 = 0u; step0 < p.k; step0 += DEPTH) {
    stage(item, row0, column0, step0, own);
    ${variant.tileSums === undefined ? '' : 'stageF(item, step0, group.x * ACROSS, own);'}
    workgroupBarrier();
${predictRows(variant)}
${instrumented ? '    workgroupBarrier();\n    if (own == 0u) { strikeStaged(item, row0, column0, step0); }\n    workgroupBarrier();' : ''}
${steps(variant)}
${predictColumns(variant)}
    workgroupBarrier();
  }

  // From here on the registers are an array, and elements outside C are zero, whatever infinities met in them.
  var values = array<vec4<E>, ${(tile.rows * tile.columns) / 4}>(${list(variant)});
  let firstRow = row0 + ty * ROWS;
  let firstColumn = column0 + tx * COLUMNS;
  for (var i = 0u; i < ROWS; i++) {
    for (var v = 0u; v < VECTORS; v++) {
      let columns = vec4<u32>(firstColumn + 4u * v) + vec4<u32>(0u, 1u, 2u, 3u);
      let inside = columns < vec4<u32>(p.n);
      values[i * VECTORS + v] = select(vec4<E>(), values[i * VECTORS + v], inside & vec4<bool>(firstRow + i < p.m));
    }
  }
${instrumented ? `  {${strikeOutputs(variant)}\n  }` : ''}
${emitSums(variant)}
  for (var i = 0u; i < ROWS; i++) {
    for (var v = 0u; v < VECTORS; v++) {
      let row = firstRow + i;
      let column = firstColumn + 4u * v;
      if (row >= p.m || column >= p.n) { continue; }
      let x = finished(values[i * VECTORS + v], item, column);
      for (var lane = 0u; lane < min(4u, p.n - column); lane++) { out[outputIndex(item, row, column + lane)] = x[lane]; }
      ${variant.next ? 'values[i * VECTORS + v] = x;' : ''}
    }
  }
${variant.next ? emitNext : ''}
}
`
}

const list = (v: Variant): string => registers(v, (i, w) => `c${i}_${w}`).replaceAll('\n', ', ')

/** Accumulators of the predicted sides. */
function predictions(v: Variant): string {
  return [
    v.rowExpected || v.rowStatistics ? '  let predictsRow = group.x == 0u && tx < ROWS;' : '',
    v.rowExpected ? '  var rowExpected = Sum();' : '',
    v.rowStatistics
      ? `  var rowSum = Sum();
  var rowMin = ${isInteger(v) ? 'E(2147483647)' : 'bitcast<f32>(p.infinity)'};
  var rowMax = ${isInteger(v) ? 'E(-2147483648)' : '-bitcast<f32>(p.infinity)'};`
      : '',
    squares(v, '  var rowSquares = Sum();'),
    v.columnSums ? '  let predictsColumn = rowGroup == 0u && ty < COLUMNS;\n  var columnExpected = Sum();' : '',
    v.tileSums === undefined ? '' : '  var tileExpected = Sum();',
    v.replica ? '  var replicaExpected = Sum();' : '',
  ].join('\n')
}

/** Text where sums of squares are taken: integers need none, their checks are exact. */
const squares = (v: Variant, text: string): string => (v.rowStatistics && !isInteger(v) ? text : '')

/** Row sums A (B e) and the statistics of A, from the staged rows as they were read. */
function predictRows(v: Variant): string {
  if (!v.rowExpected && !v.rowStatistics) return ''
  return `
    if (predictsRow) {
      let row = ty * ROWS + tx;
      ${v.rowStatistics ? 'var sum = E(0);' : ''}
      ${squares(v, 'var squared = 0.0;')}
      for (var s = 0u; s < min(DEPTH, p.k - step0); s++) {
        let x = tileA[s * LINE_A + row / 4u][row % 4u];
        ${v.rowExpected ? 'rowExpected = sumScaled(x, checksum[item * p.checksumItem + step0 + s], rowExpected);' : ''}
        ${v.rowStatistics ? 'sum += x;\n        if (x < rowMin) { rowMin = x; }\n        if (x > rowMax) { rowMax = x; }' : ''}
        ${squares(v, 'squared += x * x;')}
      }
      ${v.rowStatistics ? 'rowSum = sumAdd(rowSum, sumOf(sum));' : ''}
      ${squares(v, 'rowSquares = sumAdd(rowSquares, sumOf(squared));')}
    }`
}

/** Column sums (e^T A) B, from the staged columns as the product read them. */
function predictColumns(v: Variant): string {
  if (!v.columnSums) return ''
  return `
    if (predictsColumn) {
      let column = tx * COLUMNS + ty;
      for (var s = 0u; s < min(DEPTH, p.k - step0); s++) {
        let y = tileB[s * LINE_B + column / 4u][column % 4u];
        columnExpected = sumScaled(y, columnsOfA[item * p.k + step0 + s], columnExpected);
      }
    }`
}

/** The main loop: one rank-1 update of the register tile a step, and the tile's predicted sums from the same registers. */
function steps(v: Variant): string {
  const { rows, columns } = v.tile
  const vectors = columns / 4
  const integer = isInteger(v)
  const madd = (x: string, y: string, c: string): string =>
    integer ? `${c} + ${x} * ${y}` : `fma(vec4<f32>(${x}), ${y}, ${c})`
  const maddScalar = (x: string, y: string, c: string): string =>
    integer ? `${c} + ${x} * ${y}` : `fma(${x}, ${y}, ${c})`
  const rowNames = Array.from({ length: rows }, (_, i) => `x${i}`)
  const loadRows =
    rows % 4 === 0
      ? times(rows / 4, (q) => {
          const lanes = [0, 1, 2, 3].map((lane) => `      let x${4 * q + lane} = xs${q}[${lane}];`)
          return `      let xs${q} = tileA[s * LINE_A + ty * ${rows / 4}u + ${q}u];\n${lanes.join('\n')}`
        })
      : times(rows, (i) => {
          const row = rows === 1 ? 'ty' : `(ty * ROWS + ${i}u)`
          return `      let x${i} = tileA[s * LINE_A + ${row} / 4u][${row} % 4u];`
        })
  return `
    ${v.tileSums === undefined ? '' : 'var folded = E(0);'}
    ${v.replica ? 'var copy = vec4<E>();' : ''}
    for (var s = 0u; s < DEPTH; s++) {
${loadRows}
${times(vectors, (w) => `      let y${w} = tileB[s * LINE_B + tx * ${vectors}u + ${w}u];`)}
${v.instrumented ? registers(v, (i, w) => `      let before${i}_${w} = c${i}_${w};`) : ''}
${registers(v, (i, w) => `      c${i}_${w} = ${madd(`x${i}`, `y${w}`, `c${i}_${w}`)};`)}
${v.replica ? registers(v, (i, w) => `      copy = ${madd(`x${i}`, `y${w}`, 'copy')};`) : ''}
${v.tileSums === undefined ? '' : '      let fold = tileF[s * ACROSS + tx];'}
${v.tileSums === 'one-sided' ? times(rows, (i) => `      folded = ${maddScalar(`x${i}`, 'fold', 'folded')};`) : ''}
${v.tileSums === 'two-sided' ? `      folded = ${maddScalar(`(${rowNames.join(' + ')})`, 'fold', 'folded')};` : ''}
${v.instrumented ? strikeAccumulators(v) : ''}
    }
    ${v.tileSums === undefined ? '' : 'tileExpected = sumAdd(tileExpected, sumOf(folded));'}
    ${v.replica ? 'replicaExpected = sumAdd(replicaExpected, sumOf(copy.x + copy.y + copy.z + copy.w));' : ''}`
}

function emitSums(v: Variant): string {
  const pieces: string[] = []
  if (v.rowActual) pieces.push(emitRows)
  if (v.rowExpected || v.rowStatistics) pieces.push(emitPredictedRows(v))
  if (v.columnSums) pieces.push(emitColumns)
  if (v.tileSums !== undefined || v.replica) pieces.push(emitTiles(v))
  return pieces.join('\n')
}

const emitRows = `
  for (var i = 0u; i < ROWS; i++) {
    var sums = Sums();
    for (var v = 0u; v < VECTORS; v++) { sums = sumsAdd(sums, values[i * VECTORS + v]); }
    let sum = addAcross(sumsTotal(sums), tx, ty);
    let row = firstRow + i;
    if (tx == 0u && row < p.m) { storeSum(p.rowActual, (item * p.groupsAcross + group.x) * p.m + row, sum); }
  }`

const emitPredictedRows = (v: Variant): string => `
  if (predictsRow && firstRow + tx < p.m) {
    let at = item * p.m + firstRow + tx;
    ${v.rowExpected ? 'storeSum(p.rowExpected, at, rowExpected);' : ''}
    ${v.rowStatistics ? 'storeSum(p.rowSum, at, rowSum);\n    out[p.rowMin + at] = rowMin;\n    out[p.rowMax + at] = rowMax;' : ''}
    ${squares(v, 'storeSum(p.rowSquares, at, rowSquares);')}
  }`

const emitColumns = `
  for (var v = 0u; v < VECTORS; v++) {
    var sums = Sums();
    for (var i = 0u; i < ROWS; i++) { sums = sumsAdd(sums, values[i * VECTORS + v]); }
    for (var lane = 0u; lane < 4u; lane++) {
      let sum = addDown(sumsLane(sums, lane), tx, ty);
      let column = firstColumn + 4u * v + lane;
      if (ty == 0u && column < p.n) { storeSum(p.columnActual, (item * p.groupsDown + rowGroup) * p.n + column, sum); }
    }
  }
  if (predictsColumn && firstColumn + ty < p.n) {
    storeSum(p.columnExpected, item * p.n + firstColumn + ty, columnExpected);
  }`

const emitTiles = (v: Variant): string => `
  {
    var sums = Sums();
    for (var index = 0u; index < ROWS * VECTORS; index++) { sums = sumsAdd(sums, values[index]); }
    let panel = group.x * ACROSS + tx;
    if (firstRow < p.m && panel < p.panels) {
      let at = (item * ((p.m + ROWS - 1u) / ROWS) + firstRow / ROWS) * p.panels + panel;
      storeSum(p.tileActual, at, sumsTotal(sums));
      ${v.tileSums === undefined ? '' : 'storeSum(p.tileExpected, at, tileExpected);'}
      ${v.replica ? 'storeSum(p.replicaExpected, at, replicaExpected);' : ''}
    }
  }`

/** The next checksum: columns of the activation, a class of rows at a time. */
const emitNext = `
  for (var class_ = 0u; class_ < p.classes; class_++) {
    for (var v = 0u; v < VECTORS; v++) {
      var sums = Sums();
      for (var i = 0u; i < ROWS; i++) {
        if (firstRow + i >= p.m) { break; }
        if (p.classes > 1u && marks[firstRow + i] != class_) { continue; }
        sums = sumsAdd(sums, values[i * VECTORS + v]);
      }
      for (var lane = 0u; lane < 4u; lane++) {
        let sum = addDown(sumsLane(sums, lane), tx, ty);
        let column = firstColumn + 4u * v + lane;
        if (ty == 0u && column < p.n) {
          storeSum(p.nextAt, ((item * p.groupsDown + rowGroup) * p.classes + class_) * p.n + column, sum);
        }
      }
    }
  }`
