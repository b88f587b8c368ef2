// The arrays that make a dense network what it is: what is saved of it, kept elsewhere and put back.
import { FtError } from '@ft/core'
import type { DenseModel } from './denseModel.ts'

/** Parameters, then their optimizer state: the model's own arrays. */
export const arraysOf = (model: DenseModel): Float32Array[] => [...model.parameters, ...model.state]

/**
 * Makes a model's arrays these.
 *
 * @throws FtError `SHAPE_MISMATCH` when it is of another shape
 */
export function setArrays(model: DenseModel, from: readonly Float32Array[], where: string): void {
  const to = arraysOf(model)
  if (to.length !== from.length || to.some((array, i) => array.length !== from[i]!.length)) {
    throw new FtError(
      'SHAPE_MISMATCH',
      `${where}: what was saved is of a network with other layers or another optimizer; make the model alike`,
      { expected: to.map(({ length }) => length), got: from.map(({ length }) => length) },
    )
  }
  to.forEach((array, i) => array.set(from[i]!))
}
