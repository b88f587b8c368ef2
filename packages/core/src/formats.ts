// Number formats: 16-bit floats with round-to-nearest-even, bit patterns of values, facts about element types.
export {
  decodeBfloat16,
  decodeFloat16,
  encodeBfloat16,
  encodeFloat16,
  fromBfloat16Array,
  fromFloat16Array,
  toBfloat16Array,
  toFloat16Array,
} from './formats/float16.ts'
export { bytesPerElement, isFloating, largestFinite, smallestNormal, unitRoundoff } from './formats/dtypes.ts'
export { fromBits, toBits, type BitDType } from './formats/bits.ts'
