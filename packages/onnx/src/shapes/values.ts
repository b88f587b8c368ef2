// What is known of a value while shapes are inferred: type, dimensions, and for small integer tensors the elements.
import type { OnnxType } from '../dtypes.ts'

/** A dimension: a number, an unbound name, or unknown. */
export type Dimension = number | string | undefined

export interface Value {
  readonly type?: OnnxType | undefined
  /** Absent when even the rank is unknown. */
  readonly shape?: readonly Dimension[] | undefined
  /** Elements of a small integer or bool tensor, row-major, as far as known: what Reshape, Slice and If depend on. */
  readonly elements?: readonly Dimension[] | undefined
}

export const unknown: Value = {}

export function isKnown(dimension: Dimension): dimension is number {
  return typeof dimension === 'number'
}

/** All dimensions as numbers, or undefined when one is not known. */
export function numbers(shape: readonly Dimension[] | undefined): number[] | undefined {
  return shape?.every(isKnown) ? [...(shape as number[])] : undefined
}

/** Product of dimensions; undefined when one is unknown. */
export function product(shape: readonly Dimension[]): number | undefined {
  return numbers(shape)?.reduce((all, size) => all * size, 1)
}

/** A negative axis counts from the end. */
export function normalizeAxis(axis: number, rank: number): number {
  return axis < 0 ? axis + rank : axis
}

/** Multidirectional broadcasting. An unknown dimension beside 1 stays unknown; beside a larger number it is that number. */
export function broadcast(shapes: readonly (readonly Dimension[] | undefined)[]): Dimension[] | undefined {
  const rank = Math.max(0, ...shapes.map((shape) => shape?.length ?? 0))
  if (shapes.some((shape) => shape === undefined)) return undefined
  const out: Dimension[] = []
  for (let axis = 0; axis < rank; axis++) {
    const here = shapes.map((shape) => {
      const index = axis - (rank - (shape?.length ?? 0))
      return index < 0 ? 1 : shape?.[index]
    })
    const large = here.find((size) => isKnown(size) && size !== 1)
    const open = here.filter((size) => !isKnown(size))
    out.push(large ?? (open.length === 0 ? 1 : open.every((size) => size === open[0]) ? open[0] : undefined))
  }
  return out
}

/** Row-major strides of a shape. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = Array<number>(shape.length).fill(1)
  for (let axis = shape.length - 2; axis >= 0; axis--) strides[axis] = (strides[axis + 1] ?? 1) * (shape[axis + 1] ?? 1)
  return strides
}

/** Elements of a tensor seen through another index space: `at` maps each output index to an input index. */
export function pickElements(
  elements: readonly Dimension[] | undefined,
  shape: readonly Dimension[] | undefined,
  out: readonly Dimension[],
  at: (index: readonly number[]) => readonly number[],
): readonly Dimension[] | undefined {
  const from = numbers(shape)
  const to = numbers(out)
  if (!elements || !from || !to) return undefined
  const strides = stridesOf(from)
  const outStrides = stridesOf(to)
  const count = to.reduce((all, size) => all * size, 1)
  return Array.from({ length: count }, (_, flat) => {
    const index = outStrides.map((stride, axis) => Math.floor(flat / stride) % (to[axis] ?? 1))
    return elements[at(index).reduce((sum, place, axis) => sum + place * (strides[axis] ?? 0), 0)]
  })
}
