// What a model takes and gives: tensors with names, and the mark that every answer carries.
import { FtError, type Tensor } from '@ft/core'

/** A tensor with its name in the model's signature. Row-major; axis 0 counts rows where a model takes batches. */
export interface NamedTensor extends Tensor {
  readonly name: string
}

/**
 * How an answer came about: `exact`, the deployed model's own output; `reconstructed`, decoded from the other members
 * of its group and a parity model's output (approximate); `default`, the deadline passed first.
 */
export type Quality = 'exact' | 'reconstructed' | 'default'

/** @throws FtError `UNSUPPORTED` for tensors whose elements are bit patterns or truth values */
export function assertSummable(tensors: readonly NamedTensor[], where: string): void {
  for (const { name, dtype } of tensors) {
    if (dtype === 'float16' || dtype === 'bfloat16' || dtype === 'bool')
      throw new FtError(
        'UNSUPPORTED',
        `${where}: tensor '${name}' must be of a number type that can be summed, got ${dtype}`,
        {
          name,
          dtype,
        },
      )
  }
}

/** @throws FtError `SHAPE_MISMATCH` unless both lists have the same names and shapes in the same order */
export function assertAlike(a: readonly NamedTensor[], b: readonly NamedTensor[], where: string): void {
  const same = a.length === b.length && a.every((one, i) => sameForm(one, b[i]))
  if (same) return
  const text = (list: readonly NamedTensor[]) => list.map((t) => `${t.name} [${t.shape.join(', ')}]`).join('; ')
  throw new FtError('SHAPE_MISMATCH', `${where}: members must have the same tensors, got ${text(a)} and ${text(b)}`, {})
}

/** Alike in name and shape. */
export function sameForm(
  a: Pick<NamedTensor, 'name' | 'shape'>,
  b: Pick<NamedTensor, 'name' | 'shape'> | undefined,
): boolean {
  return (
    b !== undefined &&
    a.name === b.name &&
    a.shape.length === b.shape.length &&
    a.shape.every((size, axis) => size === b.shape[axis])
  )
}
