// TensorFlow Serving's REST API: bodies of predict, in row and in column form, to requests and back.
import { bytesFromJson, jsonFromBytes, type JsonReading } from '../oip/json-data.ts'
import { isDatatype } from '../oip/datatypes.ts'
import { OipError } from '../oip/error.ts'
import { readJson, type JsonSource } from '../oip/json-source.ts'
import type { InferRequest, InferResponse, Parameters, WireTensor } from '../oip/message.ts'
import type { ModelMetadata, TensorMetadata } from '../oip/service.ts'

export type PredictForm = 'row' | 'column'

/**
 * A request from the text of a predict body: `instances` lists rows, each a value or, for several inputs, an object of
 * values; `inputs` gives whole batches.
 *
 * @throws OipError 400
 */
export function parsePredict(
  text: string,
  { metadata, parameters }: { metadata: ModelMetadata; parameters: Parameters },
): { request: InferRequest; form: PredictForm } {
  const source = parseJson(text)
  const body = objectOf(source.value)
  const { instances, inputs, signature_name: signature } = body
  if (signature !== undefined && signature !== 'serving_default')
    throw new OipError(400, "signature_name must be 'serving_default'")
  if ((instances === undefined) === (inputs === undefined))
    throw new OipError(400, 'the body must have either instances or inputs')
  const form: PredictForm = instances === undefined ? 'column' : 'row'
  const valuesOf = (read: Record<string, unknown>) =>
    form === 'column' ? columns(read['inputs'], metadata) : rows(read['instances'], metadata)
  const values = valuesOf(body)
  const tensors = metadata.inputs.map((expected) =>
    tensorOf(values.get(expected.name), {
      expected,
      reading: {
        nonFinite: source.nonFinite,
        exact: () => valuesOf(source.exact() as Record<string, unknown>).get(expected.name),
      },
    }),
  )
  return { request: { parameters, inputs: tensors, binaryOutput: false }, form }
}

/** `predictions`, row by row, or `outputs`; values alone where the model has one output. */
export function writePredict({ outputs }: InferResponse, form: PredictForm): string {
  const values = outputs.map((output) => [output.name, nested(output)] as const)
  const [only] = values
  if (form === 'column')
    return `{"outputs":${values.length === 1 && only ? listOf(only[1]) : objectText(values, listOf)}}`
  const count = outputs[0]?.shape[0] ?? 0
  if (outputs.some(({ shape }) => shape[0] !== count))
    throw new OipError(500, 'outputs have no common number of rows; ask in column form')
  const row = (i: number) =>
    values.length === 1 && only ? (only[1][i] as string) : objectText(values, (all) => all[i] as string)
  return `{"predictions":${listOf(Array.from({ length: count }, (_, i) => row(i)))}}`
}

const listOf = (texts: readonly string[] | string) => (typeof texts === 'string' ? texts : `[${texts.join(',')}]`)

function objectText<T>(values: readonly (readonly [string, T])[], text: (value: T) => string): string {
  return `{${values.map(([name, value]) => `${JSON.stringify(name)}:${text(value)}`).join(',')}}`
}

function rows(instances: unknown, { inputs }: ModelMetadata): Map<string, unknown> {
  if (!Array.isArray(instances) || instances.length === 0)
    throw new OipError(400, 'instances must be a list of at least one row')
  const named = instances.map((row: unknown) => isObject(row) && !('b64' in row))
  if (named.every(Boolean)) {
    const all = instances as Record<string, unknown>[]
    for (const row of all) refuseUnknown(row, inputs)
    return new Map(inputs.map(({ name }) => [name, all.map((row) => row[name])]))
  }
  if (named.some(Boolean)) throw new OipError(400, 'instances must be all objects or all values')
  return new Map([[onlyOf(inputs, 'instances').name, instances]])
}

function columns(given: unknown, { inputs }: ModelMetadata): Map<string, unknown> {
  if (!isObject(given)) return new Map([[onlyOf(inputs, 'inputs').name, given]])
  refuseUnknown(given, inputs)
  return new Map(Object.entries(given))
}

function onlyOf(inputs: readonly TensorMetadata[], field: string): TensorMetadata {
  const [only] = inputs
  if (!only || inputs.length > 1) throw new OipError(400, `${field} must name the model's inputs: it has several`)
  return only
}

function refuseUnknown(values: Record<string, unknown>, inputs: readonly TensorMetadata[]): void {
  const unknown = Object.keys(values).find((name) => !inputs.some((expected) => expected.name === name))
  if (unknown !== undefined) throw new OipError(400, `the model has no input '${unknown.slice(0, 100)}'`)
}

/** A tensor whose shape is that of nested lists. */
function tensorOf(value: unknown, o: { expected: TensorMetadata; reading: JsonReading }): WireTensor {
  const { name, datatype } = o.expected
  if (value === undefined) throw new OipError(400, `input '${name}' is missing`)
  if (!isDatatype(datatype)) throw new OipError(500, `input '${name}' has an unknown type`)
  const shape: number[] = []
  for (let at: unknown = value; Array.isArray(at); at = (at as unknown[])[0]) shape.push(at.length)
  const size = shape.reduce((product, length) => product * length, 1)
  if (shape.length === 0 || size === 0) throw new OipError(400, `input '${name}' must be a list that is not empty`)
  if (shape.length > 32) throw new OipError(400, `input '${name}' must have at most 32 axes`)
  return { name, datatype, shape, bytes: bytesFromJson(value, { name, datatype, shape, size }, o.reading) }
}

/** The JSON of an output's rows (of its value, without axes), as text all the way: numbers would round 64-bit integers. */
function nested(output: WireTensor): readonly string[] | string {
  const flat = jsonFromBytes(output)
  let texts =
    output.datatype === 'BYTES'
      ? (JSON.parse(flat) as string[]).map((text) => JSON.stringify(text))
      : flat === '[]'
        ? []
        : flat.slice(1, -1).split(',')
  for (let axis = output.shape.length - 1; axis > 0; axis--) {
    const length = output.shape[axis] as number
    // From the shape: lists of nothing are as many as it says
    const count = output.shape.slice(0, axis).reduce((product, size) => product * size, 1)
    const inner = texts
    texts = Array.from({ length: count }, (_, i) => listOf(inner.slice(i * length, (i + 1) * length)))
  }
  return output.shape.length === 0 ? (texts[0] as string) : texts
}

function parseJson(text: string): JsonSource {
  try {
    return readJson(text)
  } catch (cause) {
    throw new OipError(400, 'the body must be JSON', { cause })
  }
}

function objectOf(value: unknown): Record<string, unknown> {
  if (isObject(value)) return value
  throw new OipError(400, 'the body must be a JSON object')
}

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
