// Rows that share a request to an instance: which may, how their tensors become one batch, and how its answer becomes theirs
// again. When they are sent is the pool's business.
import type { WireTensor } from '../oip/message.ts'
import type { TensorMetadata } from '../oip/service.ts'

/** Headers that say which request it is, not what is asked: those of a batch's first row stand for all. */
const tracing = new Set(['traceparent', 'tracestate', 'x-request-id'])

/**
 * What rows that share a request have in common: names, types and shapes of their inputs, and headers. Equal texts for those
 * that may share one.
 */
export function batchKey(inputs: readonly WireTensor[], headers: Readonly<Record<string, string>>): string {
  const forms = inputs.map(({ name, datatype, shape }) => [name, datatype, ...shape])
  const said = Object.entries(headers).filter(([name]) => !tracing.has(name))
  return JSON.stringify([forms, said.sort()])
}

/** Whether a model takes and gives any number of rows: a fixed first axis, of 1 row as well, takes no batch. */
export function takesBatches({ inputs, outputs }: Record<'inputs' | 'outputs', readonly TensorMetadata[]>): boolean {
  return [...inputs, ...outputs].every(({ shape }) => shape[0] === -1)
}

/** The inputs of b rows, each tensor `[1, ...]`, as tensors `[b, ...]`; those of a single one as they are. */
export function joinInputs(rows: readonly (readonly WireTensor[])[]): readonly WireTensor[] {
  const first = rows[0] as readonly WireTensor[]
  if (rows.length === 1) return first
  return first.map(({ name, datatype, shape }, t) => {
    const bytes = Buffer.concat(rows.map((row) => (row[t] as WireTensor).bytes))
    return { name, datatype, shape: [rows.length, ...shape.slice(1)], bytes }
  })
}

/** Row i of outputs, each tensor `[b, ...]` of elements of one length cut to `[1, ...]` without copying. */
export function rowOf(outputs: readonly WireTensor[], i: number): WireTensor[] {
  return outputs.map(({ name, datatype, shape, bytes }) => {
    const size = bytes.length / (shape[0] as number)
    return { name, datatype, shape: [1, ...shape.slice(1)], bytes: bytes.subarray(i * size, (i + 1) * size) }
  })
}
