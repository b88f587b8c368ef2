// ONNX models in workers: a model written here field by field, run by onnxruntime-node.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire'
import { afterAll, describe, expect, it } from 'vitest'
import { toNamedTensor } from '../src/index.ts'
import { openOnnxModel } from '../src/workers/onnxModel.ts'
import { floats } from './support/echo.ts'

const folder = mkdtempSync(join(tmpdir(), 'parm-onnx-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const reason = await import('onnxruntime-node').then(
  () => undefined,
  (error: unknown) => String(error),
)
if (reason !== undefined) console.log(`skipped: ONNX workers: ${reason}`)

const LENGTH = WireType.LengthDelimited
const message = (write: (writer: BinaryWriter) => void) => {
  const writer = new BinaryWriter()
  write(writer)
  return writer.finish()
}
const text = (writer: BinaryWriter, field: number, value: string) => writer.tag(field, LENGTH).string(value)
const number = (writer: BinaryWriter, field: number, value: number) => writer.tag(field, WireType.Varint).int64(value)

/** y [n, 2] = x [n, 3] w [3, 2], w = 1 .. 6; elements of type float. */
function matmulModel(): Uint8Array {
  const value = (name: string, width: number) =>
    message((w) => {
      text(w, 1, name)
      const dimensions = message((shape) => {
        shape.tag(1, LENGTH).bytes(message((d) => text(d, 2, 'n')))
        shape.tag(1, LENGTH).bytes(message((d) => number(d, 1, width)))
      })
      const tensor = message((t) => number(t, 1, 1).tag(2, LENGTH).bytes(dimensions))
      w.tag(2, LENGTH).bytes(message((type) => type.tag(1, LENGTH).bytes(tensor)))
    })
  const graph = message((g) => {
    const node = message((n) => text(text(text(text(n, 1, 'x'), 1, 'w'), 2, 'y'), 4, 'MatMul'))
    g.tag(1, LENGTH).bytes(node)
    text(g, 2, 'g')
    const weights = message((w) => {
      number(number(number(w, 1, 3), 1, 2), 2, 1)
      text(w, 8, 'w')
      w.tag(9, LENGTH).bytes(new Uint8Array(Float32Array.of(1, 2, 3, 4, 5, 6).buffer))
    })
    g.tag(5, LENGTH).bytes(weights)
    g.tag(11, LENGTH).bytes(value('x', 3))
    g.tag(12, LENGTH).bytes(value('y', 2))
  })
  return message((m) => {
    number(m, 1, 8)
    m.tag(7, LENGTH).bytes(graph)
    m.tag(8, LENGTH).bytes(message((opset) => number(opset, 2, 13)))
  })
}

describe.skipIf(reason !== undefined)('an ONNX file', () => {
  const file = join(folder, 'matmul.onnx')
  writeFileSync(file, matmulModel())
  const context = { signal: new AbortController().signal, headers: {}, parameters: {} }

  it('has its own signature and answers like the model', async () => {
    const model = await openOnnxModel(file)
    expect(model.metadata).toMatchObject({
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 2] }],
    })
    const [y] = await model.infer([floats('x', [1, 1, 1, 1, 0, 2], [2, 3])], context)
    expect(y?.shape).toEqual([2, 2])
    expect(Array.from((y && toNamedTensor(y)?.data) ?? [])).toEqual([9, 12, 11, 14])
  })

  it('refuses other inputs, and files that are no models', async () => {
    const model = await openOnnxModel(file)
    await expect(model.infer([floats('z', [1, 1, 1], [1, 3])], context)).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
    })
    const broken = join(folder, 'broken.onnx')
    writeFileSync(broken, 'no model')
    await expect(openOnnxModel(broken)).rejects.toMatchObject({ code: 'CORRUPT_DATA' })
    await expect(openOnnxModel(join(folder, 'none.onnx'))).rejects.toMatchObject({ code: 'IO' })
  })
})
