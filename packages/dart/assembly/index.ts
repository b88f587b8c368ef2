export {
  histogram,
  countRows,
  countUp,
  partition,
  moveRows,
  assignLeaves,
  gather8,
  gather16,
  gather8x4,
  axpy,
  sumRuns,
  magnitudes,
  quantize,
} from './trees'
export { routeRows } from './route'
export { searchNodes } from './split'
export { logistic, squared } from './gradients'
export { binRows } from './binning'
export { findEdges } from './edges'
export { predictComplete, predictCompleteMissing, hasMissing, leafOf } from './predict'
