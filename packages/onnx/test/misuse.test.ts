// What JavaScript lets through and types do not see: refused by name, since it would make a model that is silently another one.
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import { graphBuilder, inferShapes, parseModel, rewriter, serializeModel, type OnnxType } from '../src/index.ts'

function refusal(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (isFtError(error)) return `${error.code}: ${error.message}`
    throw error
  }
  return 'nothing was refused'
}

function small() {
  const b = graphBuilder({ name: 'small' })
  const x = b.input('x', 'float32', ['batch', 4])
  const rate = b.input('rate', 'int64', [])
  b.output(b.node('Relu', [x], { outputs: ['y'] }), 'float32')
  b.output(b.node('Identity', [rate], { outputs: ['z'] }), 'int64')
  return b.build()
}

describe('misuse', () => {
  it.each([[1], [[3, 3]], ['SAME'], [null], [{}], [{ integer: 1 }], [{ int: 1, float: 2 }]])(
    'an attribute %j names no kind',
    (value) => {
      const b = graphBuilder({ name: 'a' })
      const x = b.input('x', 'float32', [1, 3, 8, 8])
      const attributes = { kernel_shape: value } as unknown as Record<string, { int: number }>
      expect(refusal(() => b.node('MaxPool', [x], { attributes }))).toMatch(
        'INVALID_ARGUMENT: makeAttribute: kernel_shape must name its kind',
      )
    },
  )

  it('an element type that ONNX does not have', () => {
    const b = graphBuilder({ name: 'a' })
    expect(refusal(() => b.input('x', 'float' as OnnxType, [1]))).toMatch('no element type float; there are float32,')
  })

  it('a path or a buffer in place of bytes', () => {
    const bytes = (value: unknown) => () => parseModel(value as Uint8Array)
    expect(refusal(bytes('model.onnx'))).toMatch('INVALID_ARGUMENT: parseModel: takes a Uint8Array')
    expect(refusal(bytes('model.onnx'))).toMatch('got text: read the file first')
    expect(refusal(bytes(serializeModel(small()).slice().buffer))).toMatch('got [object ArrayBuffer]')
    expect(refusal(bytes(undefined))).toMatch('INVALID_ARGUMENT')
    expect(parseModel(serializeModel(small())).graph.name).toBe('small')
  })

  it('dimensions to bind that no input has, and sizes that are none', () => {
    const model = small()
    expect(refusal(() => inferShapes(model, { bind: { Batch: 2 } }))).toMatch(
      'INVALID_ARGUMENT: inferShapes: the inputs have no named dimension Batch to bind; there are batch',
    )
    expect(refusal(() => inferShapes(model, { bind: { batch: 1.5 } }))).toMatch('bind.batch')
    expect(inferShapes(model, { bind: { batch: 2 } }).values.get('y')?.shape).toEqual([2, 4])
  })

  it('values that are no list, and a shape for a scalar', () => {
    const model = small()
    const values = { rate: 16000 } as unknown as Record<string, number[]>
    expect(refusal(() => inferShapes(model, { values }))).toMatch('values of rate must be a list of whole numbers')
    expect(refusal(() => inferShapes(model, { inputs: { rate: [1] } }))).toMatch('rate is declared a scalar, got 1')
    expect(inferShapes(model, { values: { rate: [16000] } }).values.get('z')?.elements).toEqual([16000])
  })

  it('an output that nothing makes', () => {
    const model = small()
    const edit = rewriter(model)
    edit.addOutput('yy', 'float32')
    expect(refusal(() => edit.finish())).toMatch('INVALID_ARGUMENT: rewriter: nothing makes the output yy')
  })
})
