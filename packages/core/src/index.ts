export type * from './types/index.ts'
export { FtError, inFile, isFtError, throwIfAborted, type FtErrorCode } from './errors.ts'
export {
  allocate,
  assertTensor,
  shapeMismatch,
  sharesMemory,
  sizeOf,
  tensor,
  zeros,
  type TensorExpectation,
} from './tensor.ts'
export {
  assertInteger,
  assertNumber,
  assertOneOf,
  assertOptionNames,
  invalidArgument,
  type Argument,
} from './guards.ts'
