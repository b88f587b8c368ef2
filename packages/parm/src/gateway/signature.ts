// Whether the instances behind a gateway belong together: one base model, and parity models of it and of the code.
import { FtError } from '@ft/core'
import type { Code } from '../codes/code.ts'
import type { ModelMetadata, TensorMetadata } from '../oip/service.ts'

/** Whether a tensor is of the type and shape that a signature says; -1 there is any size. */
export function isOfForm(
  { datatype, shape }: Pick<TensorMetadata, 'datatype' | 'shape'>,
  expected: TensorMetadata,
): boolean {
  return (
    datatype === expected.datatype &&
    shape.length === expected.shape.length &&
    expected.shape.every((size, axis) => size === -1 || size === shape[axis])
  )
}

/**
 * @param found - metadata of every instance, by pool: 'base' and the parity models' names
 * @returns the base model's
 * @throws FtError `FINGERPRINT_MISMATCH` or `SHAPE_MISMATCH`. Instances that say no fingerprint are taken at their word
 */
export function checkSignature(
  found: ReadonlyMap<string, readonly ModelMetadata[]>,
  code: Code | undefined,
): ModelMetadata {
  const base = (found.get('base') ?? [])[0] as ModelMetadata
  const fingerprint = base.properties?.['ft.fingerprint']
  for (const [pool, list] of found) {
    for (const metadata of list) {
      const key = pool === 'base' ? 'ft.fingerprint' : 'ft.baseFingerprint'
      const own = metadata.properties?.[key]
      if (own !== fingerprint && own !== undefined && fingerprint !== undefined)
        throw new FtError(
          'FINGERPRINT_MISMATCH',
          `createGateway: instances of '${pool}' must belong to the base model ${fingerprint}, got ${own}`,
          {
            pool,
            expected: fingerprint,
            got: own,
          },
        )
      const trainedFor = metadata.properties?.['ft.code']
      if (pool !== 'base' && code && trainedFor !== undefined && trainedFor !== `${code.name}/${code.k}`)
        throw new FtError(
          'FINGERPRINT_MISMATCH',
          `createGateway: '${pool}' must be trained for the code ${code.name}/${code.k}, got ${trainedFor}`,
          {
            pool,
            expected: `${code.name}/${code.k}`,
            got: trainedFor,
          },
        )
      assertSameForm(base, metadata, pool)
    }
  }
  return base
}

function assertSameForm(base: ModelMetadata, other: ModelMetadata, pool: string): void {
  const form = ({ inputs, outputs }: ModelMetadata) =>
    JSON.stringify([inputs, outputs].map((list) => list.map(({ name, shape }) => [name, shape])))
  if (form(base) === form(other)) return
  throw new FtError(
    'SHAPE_MISMATCH',
    `createGateway: instances of '${pool}' must have inputs and outputs ${form(base)}, got ${form(other)}`,
    { pool },
  )
}
