export {
  histogram,
  countRows,
  add64,
  subtract64,
  subtract32,
  partition,
  partitionSet,
  assignLeaf8,
  assignLeaf16,
  gather8,
  gather16,
  axpy,
  routeRows,
  leafSums,
  magnitudes,
  quantize,
} from './trees'
export { bestSplits, bestSplitsPlain } from './split'
export { logistic, squared } from './gradients'
export { binColumn, sortColumn } from './binning'
export { predictComplete, predictCompleteMissing, hasMissing, leafOf } from './predict'
