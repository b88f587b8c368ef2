// The coding unit is a row: a request of b rows becomes b queries, their answers one response again.
import { FtError } from '@ft/core'
import type { NamedTensor } from '../named.ts'
import { datatypeOf, datatypes, viewAs } from '../oip/datatypes.ts'
import { toNamedTensor, toWireTensor, type WireTensor } from '../oip/message.ts'
import type { ModelMetadata } from '../oip/service.ts'

/** Types whose elements no code can sum. */
export const unsummable = new Set<string>(['BYTES', 'INT64', 'UINT64', 'FP16', 'BF16', 'BOOL'])

/** Whether a model's requests can be split: it takes and gives rows of numbers that a code can sum, one row included. */
export function isRowWise({ inputs, outputs }: Pick<ModelMetadata, 'inputs' | 'outputs'>): boolean {
  return [...inputs, ...outputs].every(
    ({ datatype, shape }) => !unsummable.has(datatype) && (shape[0] === -1 || shape[0] === 1),
  )
}

/** How many rows the inputs of such a model have; undefined when they have none, or no common number of them. */
export function rowsOf(inputs: readonly WireTensor[]): number | undefined {
  const rows = inputs[0]?.shape[0]
  return rows === 0 || inputs.some(({ shape }) => shape[0] !== rows) ? undefined : rows
}

/**
 * The rows of inputs, each tensor `[b, ...]` cut to `[1, ...]` without copying.
 *
 * @param rows - as `rowsOf` gives it. Memory is taken for each, and a request may say more of them than it has bytes
 */
export function splitRows(inputs: readonly WireTensor[], rows: number): NamedTensor[][] {
  const tensors = inputs.map((input) => toNamedTensor(input) as NamedTensor)
  if (rows === 1) return [tensors]
  return Array.from({ length: rows }, (_, row) =>
    tensors.map(({ name, dtype, shape, data }) => {
      const size = data.length / rows
      return { name, dtype, shape: [1, ...shape.slice(1)], data: data.subarray(row * size, (row + 1) * size) }
    }),
  )
}

/**
 * One response from the rows' outputs. A reconstruction is float32; it takes the type of the model's own outputs.
 *
 * @throws FtError `SHAPE_MISMATCH` when rows differ in their outputs
 */
export function joinRows(
  rows: readonly (readonly NamedTensor[])[],
  expected: readonly { name: string; datatype: string }[],
): WireTensor[] {
  const first = rows[0] ?? []
  // What is one row already, and of the type said, goes on as it came
  if (rows.length === 1 && first.every((output) => isOneRow(output, expected))) return first.map(toWireTensor)
  return first.map((output, t) => {
    const datatype = expected.find(({ name }) => name === output.name)?.datatype ?? datatypeOf(output.dtype)
    const type = datatypes[datatype as keyof typeof datatypes]?.dtype ?? output.dtype
    const length = output.data.length
    const bytes = new Uint8Array(rows.length * length * datatypes[datatypeOf(type)].bytes)
    const joined = viewAs(type, bytes)
    rows.forEach((row, i) => {
      const own = row[t]
      if (own?.name !== output.name || own.data.length !== length || own.shape[0] !== 1)
        throw new FtError(
          'SHAPE_MISMATCH',
          `joinRows: every row must have an output '${output.name}' of ${length} elements`,
          {},
        )
      joined.set(own.data, i * length)
    })
    return { name: output.name, datatype: datatypeOf(type), shape: [rows.length, ...output.shape.slice(1)], bytes }
  })
}

function isOneRow(
  { name, dtype, shape }: NamedTensor,
  expected: readonly { name: string; datatype: string }[],
): boolean {
  return shape[0] === 1 && expected.some((one) => one.name === name && one.datatype === datatypeOf(dtype))
}
