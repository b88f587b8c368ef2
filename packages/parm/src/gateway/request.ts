// What a request must be before it is served: the model's inputs, and parameters that the gateway understands.
import { OipError } from '../oip/error.ts'
import type { InferRequest, Parameters } from '../oip/message.ts'
import type { ModelMetadata, TensorMetadata } from '../oip/service.ts'
import { isOfForm } from './signature.ts'

/** @throws OipError 400 unless the inputs are those of the model */
export function checkInputs({ inputs }: InferRequest, metadata: ModelMetadata): void {
  for (const { name } of metadata.inputs)
    if (!inputs.some((input) => input.name === name)) throw new OipError(400, `inputs: '${name}' is missing`)
  for (const input of inputs) checkInput(input, metadata)
}

/** Inputs in the order of the model, so that those of clients that write them in another share groups and batches. */
export function inOrder(inputs: InferRequest['inputs'], metadata: ModelMetadata): InferRequest['inputs'] {
  if (inputs.every(({ name }, i) => name === metadata.inputs[i]?.name)) return inputs
  return metadata.inputs.flatMap((expected) => inputs.find(({ name }) => name === expected.name) ?? [])
}

/** @throws OipError 400 unless the model has an input of this name, type and shape */
export function checkInput(input: TensorMetadata, metadata: ModelMetadata): void {
  const { name, datatype, shape } = input
  const expected = metadata.inputs.find((one) => one.name === name)
  if (!expected) throw new OipError(400, `inputs: the model has no input '${name.slice(0, 100)}'`)
  if (!isOfForm(input, expected))
    throw new OipError(
      400,
      `inputs: '${name}' must be ${expected.datatype} [${expected.shape.join(', ')}], got ${datatype} [${shape.join(', ')}]`,
    )
}

/** The gateway's own parameters of a request. @throws OipError 400 for values of another kind */
export function readHints(
  { parameters }: InferRequest,
  longestMs: number,
): { allowDegraded: boolean; deadlineMs: number } {
  const allowDegraded = parameters['ft.allowDegraded'] ?? true
  if (typeof allowDegraded !== 'boolean') throw new OipError(400, 'parameters.ft.allowDegraded must be true or false')
  const said = parameters['ft.deadlineMs'] ?? longestMs
  const deadlineMs = typeof said === 'bigint' ? Number(said) : said
  if (typeof deadlineMs !== 'number' || !(deadlineMs > 0))
    throw new OipError(400, 'parameters.ft.deadlineMs must be a positive number')
  return { allowDegraded, deadlineMs: Math.min(deadlineMs, longestMs) }
}

/** Whether a request says something of single tensors, which is no function of their contents. */
export function speaksOfTensors({ inputs, outputs }: InferRequest): boolean {
  return inputs.some(says) || (outputs !== undefined && outputs.some(says))
}

const says = ({ parameters }: { readonly parameters?: Parameters }) => parameters !== undefined

/**
 * The outputs that instances are to be asked for by name, where something is said of one: such an output may come in another
 * form than the model's. undefined: all of them.
 *
 * @throws OipError 400 for one that the model does not have, or that is asked for twice: an instance would be blamed for what it
 *   makes of that
 */
export function outputsSaid({ outputs }: InferRequest, metadata: ModelMetadata): InferRequest['outputs'] {
  if (!outputs?.some(says)) return undefined
  for (const { name } of outputs)
    if (!metadata.outputs.some((one) => one.name === name))
      throw new OipError(400, `outputs: the model has no output '${name.slice(0, 100)}'`)
  if (new Set(outputs.map(({ name }) => name)).size !== outputs.length)
    throw new OipError(400, 'outputs must have distinct names where something is said of one')
  return outputs
}

/** What a request says to the model besides its inputs: its parameters but for the gateway's own and the encoding's. */
export function ownParameters({ parameters }: InferRequest): Parameters | undefined {
  let own: Record<string, Parameters[string]> | undefined
  for (const key in parameters) {
    if (key.startsWith('ft.') || key === 'binary_data_output') continue
    own ??= {}
    // A name such as '__proto__' is a name like any other
    Object.defineProperty(own, key, { value: parameters[key], enumerable: true })
  }
  return own
}
