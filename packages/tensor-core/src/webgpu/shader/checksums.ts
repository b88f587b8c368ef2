// WGSL of the two small kernels beside the product: folds of B for tile checks, and the column sums of A.
import { declareBuffers, readOperands } from './operands.ts'
import { declareSums } from './sums.ts'
import { isInteger, type Storage } from './variant.ts'

/** Sums of B over the columns of each register tile: `[item, step, panel]`, one invocation each. */
export function foldShader(storage: Storage, columns: number): string {
  return `${declareBuffers(storage)}
${declareSums(isInteger({ storage }))}
${readOperands(storage, false)}
@compute @workgroup_size(64)
fn main(@builtin(global_invocation_id) id: vec3<u32>) {
  let step = p.firstRowGroup + id.y;
  if (id.x >= p.panels || step >= p.k) { return; }
  let item = p.firstItem + id.z;
  var sum = Sum();
  for (var j = 0u; j < ${columns}u; j++) { sum = sumAdd(sum, sumOf(elementB(item, step, id.x * ${columns}u + j))); }
  out[(item * p.k + step) * p.panels + id.x] = ${isInteger({ storage }) ? 'sum' : 'sum.x + sum.y'};
}
`
}

const stepsAcross = 16
const rowsDown = 16

/** Workgroups that the column sums of A need for k steps. */
export const columnGroups = (k: number): number => Math.ceil(k / stepsAcross)

/** Column sums of A: `[item, step]`, each by the invocations of one column of a workgroup. */
export function columnsOfAShader(storage: Storage, gather: boolean): string {
  return `${declareBuffers(storage)}
${declareSums(isInteger({ storage }))}
${readOperands(storage, gather)}
var<workgroup> lanes: array<Sum, ${stepsAcross * rowsDown}>;
@compute @workgroup_size(${stepsAcross}, ${rowsDown})
fn main(
  @builtin(workgroup_id) group: vec3<u32>,
  @builtin(local_invocation_id) local: vec3<u32>,
  @builtin(local_invocation_index) own: u32,
) {
  let item = p.firstItem + group.z;
  let step = group.x * ${stepsAcross}u + local.x;
  var sum = Sum();
  for (var row = local.y; row < p.m; row += ${rowsDown}u) { sum = sumAdd(sum, sumOf(elementA(item, row, step))); }
  lanes[own] = sum;
  for (var half = ${rowsDown / 2}u; half > 0u; half /= 2u) {
    workgroupBarrier();
    if (local.y < half) { lanes[own] = sumAdd(lanes[own], lanes[own + half * ${stepsAcross}u]); }
  }
  if (local.y == 0u && step < p.k) { storeSum(0u, item * p.k + step, lanes[own]); }
}
`
}
