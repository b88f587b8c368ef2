// Which outputs a client wants of those that there are.
import { OipError } from './error.ts'
import type { InferRequest, InferResponse } from './message.ts'

/** The requested outputs, in the order asked; all when none is named. @throws OipError 400 for one that is not there */
export function selectOutputs(answer: InferResponse, { outputs }: InferRequest): InferResponse['outputs'] {
  if (!outputs || outputs.length === 0) return answer.outputs
  return outputs.map(({ name }) => {
    const found = answer.outputs.find((output) => output.name === name)
    if (!found) throw new OipError(400, `outputs: the model has no output '${name.slice(0, 100)}'`)
    return found
  })
}
