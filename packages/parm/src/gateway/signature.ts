// Whether the instances behind a gateway belong together: one base model, and parity models of it and of the code.
import { FtError } from '@ft/core'
import type { Code } from '../codes/code.ts'
import { fitsChannels, preprocessingText, type Preprocessings } from '../codes/preprocessed.ts'
import type { ModelMetadata, TensorMetadata } from '../oip/service.ts'
import { isRowWise, unsummable } from './rows.ts'

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
      const learnedFor = pool === 'base' ? code?.baseFingerprint : undefined
      if (learnedFor !== undefined && own !== undefined && own !== learnedFor)
        throw new FtError(
          'FINGERPRINT_MISMATCH',
          `createGateway: the code ${code?.name ?? ''} must be of the base model ${own}, it was trained for ${learnedFor}`,
          { pool, expected: own, got: learnedFor },
        )
      const trainedOn = pool === 'base' ? trainedTextOf(code) : metadata.properties?.['ft.preprocessing']
      const encodedFrom = preprocessingText(code?.preprocessing ?? {})
      if (trainedOn !== undefined && trainedOn !== encodedFrom)
        throw new FtError(
          'FINGERPRINT_MISMATCH',
          `createGateway: ${pool === 'base' ? `the code ${code?.name ?? ''}` : `'${pool}'`} must be trained with the gateway's \`preprocessing\`, ${encodedFrom}, got ${trainedOn}`,
          { pool, expected: encodedFrom, got: trainedOn },
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
      const weights = code && pool !== 'base' ? weightsOf(code, pool) : undefined
      const trainedTo = metadata.properties?.['ft.weights']
      if (weights !== undefined && trainedTo !== undefined && trainedTo !== weights)
        throw new FtError(
          'FINGERPRINT_MISMATCH',
          `createGateway: '${pool}' must be trained to the sum of outputs times ${weights}, got ${trainedTo}`,
          { pool, expected: weights, got: trainedTo },
        )
      // Queries that no code can sum pass by the parities
      if (pool === 'base' || isRowWise(base)) assertForm(base, { metadata, pool })
    }
  }
  if (code && isRowWise(base)) assertTakesCoded(base, code)
  return base
}

function trainedTextOf(code: Code | undefined): string | undefined {
  return code?.trainedPreprocessing && preprocessingText(code.trainedPreprocessing)
}

/** What a code's parity model is trained to, as instances say it. */
function weightsOf(code: Code, pool: string): string | undefined {
  const slots = Array.from({ length: code.n - code.k }, (_, j) => code.k + j)
  const slot = slots.find((one) => code.modelFor(one) === pool)
  return slot === undefined ? undefined : code.parityWeights?.(slot).join(',')
}

/** What instances of a pool must take and give: queries as they come, or coded ones, which are float32. */
function assertForm(base: ModelMetadata, { metadata, pool }: { metadata: ModelMetadata; pool: string }): void {
  const coded = pool !== 'base'
  const form = ({ inputs, outputs }: ModelMetadata, datatype?: string) =>
    JSON.stringify([
      inputs.map((input) => [input.name, datatype ?? input.datatype, input.shape]),
      outputs.map((output) => [output.name, ...(coded ? [] : [output.datatype]), output.shape]),
    ])
  const expected = form(base, coded ? 'FP32' : undefined)
  if (expected !== form(metadata)) throw mismatch(pool, `inputs and outputs ${expected}`, form(metadata))
  const other = metadata.outputs.find(({ datatype }) => coded && unsummable.has(datatype))
  if (other) throw mismatch(pool, 'outputs of numbers that a code can sum', `'${other.name}' of ${other.datatype}`)
}

/** Units of some codes are no query as it came, and run on the deployed model itself. */
function assertTakesCoded({ inputs }: ModelMetadata, code: Code): void {
  const coded = Array.from({ length: code.n }, (_, slot) => slot).some(
    (slot) => code.modelFor(slot) === 'base' && code.exact !== true && !(code.systematic && slot < code.k),
  )
  const other = inputs.find(({ datatype }) => datatype !== 'FP32')
  if (coded && other)
    throw mismatch('base', `inputs FP32 for the code ${code.name}`, `'${other.name}' of ${other.datatype}`)
}

/**
 * Whether a model has the inputs that preprocessing is declared for, of numbers and so many channels.
 *
 * @throws FtError `INVALID_ARGUMENT` for a name that it does not have, `SHAPE_MISMATCH` for an input of another kind
 */
export function checkPreprocessing({ inputs }: Pick<ModelMetadata, 'inputs'>, preprocessing: Preprocessings): void {
  for (const [name, one] of Object.entries(preprocessing)) {
    const input = inputs.find((each) => each.name === name)
    if (!input) {
      const names = inputs.map((each) => each.name).join(', ')
      const text = `createGateway: \`preprocessing\` must name inputs of the model (${names}), got '${name}'`
      throw new FtError('INVALID_ARGUMENT', text, { name })
    }
    const { datatype, shape } = input
    if (unsummable.has(datatype) || !fitsChannels(shape, one)) {
      const text = `createGateway: preprocessing.${name} must fit the input, which is ${datatype} [${shape.join(', ')}]`
      throw new FtError('SHAPE_MISMATCH', text, { name, datatype, shape })
    }
  }
}

function mismatch(pool: string, expected: string, got: string): FtError {
  return new FtError('SHAPE_MISMATCH', `createGateway: instances of '${pool}' must have ${expected}, got ${got}`, {
    pool,
  })
}
