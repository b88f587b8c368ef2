// Whether what an instance answers is what its model gives. An instance whose answers are not has a fault of its own: its
// client is never told them, another instance is asked.
import { FtError } from '@ft/core'
import type { InferRequest, WireTensor } from '../oip/message.ts'
import type { TensorMetadata } from '../oip/service.ts'
import { isOfForm } from './signature.ts'

/**
 * The outputs in the signature's order, or in that of the request.
 *
 * @param rows - of the inputs, where the model gives a row for each
 * @param wanted - the outputs that were asked for by name: one of which something was said may come in any form
 * @throws FtError `CORRUPT_DATA` unless they are the signature's outputs: those names, types and shapes
 */
export function checkAnswer(
  outputs: readonly WireTensor[],
  {
    expected: signature,
    rows,
    wanted,
  }: {
    readonly expected: readonly TensorMetadata[]
    readonly rows: number | undefined
    readonly wanted?: InferRequest['outputs']
  },
): readonly WireTensor[] {
  const expected = wanted ? wanted.flatMap(({ name }) => signature.find((one) => one.name === name) ?? []) : signature
  const inOrder = outputs.every(({ name }, i) => name === expected[i]?.name)
  const own = inOrder ? outputs : expected.flatMap(({ name }) => outputs.find((output) => output.name === name) ?? [])
  const fits =
    outputs.length === expected.length &&
    own.length === expected.length &&
    own.every(
      (output, i) =>
        wanted?.[i]?.parameters !== undefined ||
        (isOfForm(output, expected[i] as TensorMetadata) && (rows === undefined || output.shape[0] === rows)),
    )
  if (fits) return own
  const text = (list: readonly TensorMetadata[]) =>
    list.map(({ name, datatype, shape }) => `'${name.slice(0, 100)}' ${datatype} [${shape.join(', ')}]`).join('; ')
  throw new FtError(
    'CORRUPT_DATA',
    `gateway: an instance must answer ${rows === undefined ? '' : `${rows} of `}${text(expected)}, got ${text(outputs) || 'nothing'}`,
    {},
  )
}
