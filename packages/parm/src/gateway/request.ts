// What a request must be before it is served: the model's inputs, and parameters that the gateway understands.
import { OipError } from '../oip/error.ts'
import type { InferRequest } from '../oip/message.ts'
import type { ModelMetadata } from '../oip/service.ts'

/** @throws OipError 400 unless the inputs are those of the model */
export function checkInputs({ inputs }: InferRequest, metadata: ModelMetadata): void {
  for (const expected of metadata.inputs) {
    const input = inputs.find(({ name }) => name === expected.name)
    if (!input) throw new OipError(400, `inputs: '${expected.name}' is missing`)
    const fits =
      input.shape.length === expected.shape.length &&
      expected.shape.every((size, axis) => size === -1 || size === input.shape[axis])
    if (input.datatype !== expected.datatype || !fits)
      throw new OipError(
        400,
        `inputs: '${input.name}' must be ${expected.datatype} [${expected.shape.join(', ')}], got ${input.datatype} [${input.shape.join(', ')}]`,
      )
  }
  const unknown = inputs.find(({ name }) => !metadata.inputs.some((expected) => expected.name === name))
  if (unknown) throw new OipError(400, `inputs: the model has no input '${unknown.name.slice(0, 100)}'`)
}

/** The gateway's own parameters of a request. @throws OipError 400 for values of another kind */
export function readHints(
  { parameters }: InferRequest,
  longestMs: number,
): { allowDegraded: boolean; deadlineMs: number } {
  const allowDegraded = parameters['ft.allowDegraded'] ?? true
  if (typeof allowDegraded !== 'boolean') throw new OipError(400, 'parameters.ft.allowDegraded must be true or false')
  const deadlineMs = parameters['ft.deadlineMs'] ?? longestMs
  if (typeof deadlineMs !== 'number' || !(deadlineMs > 0))
    throw new OipError(400, 'parameters.ft.deadlineMs must be a positive number')
  return { allowDegraded, deadlineMs: Math.min(deadlineMs, longestMs) }
}
