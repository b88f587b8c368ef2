// Damaged and hostile models: an FtError that says what is wrong, never a hang, a crash or a wrong answer taken for right.
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { isFtError } from '@ft/core'
import {
  graphBuilder,
  inferShapes,
  linearLayers,
  modelFingerprint,
  parseModel,
  readTensor,
  serializeModel,
  tensorsOf,
  type OnnxModel,
} from '../src/index.ts'
import { haveModels, lightModel } from './support.ts'

function smallModel(): OnnxModel {
  const b = graphBuilder({ name: 'small' })
  const x = b.input('x', 'float32', ['batch', 4])
  const w = b.initializer('w', { type: 'float32', shape: [4, 8], data: new Float32Array(32).fill(0.5) })
  const shape = b.initializer('shape', { type: 'int64', shape: [2], data: BigInt64Array.of(0n, -1n) })
  b.output(b.node('Reshape', [b.node('Relu', [b.node('MatMul', [x, w])]), shape], { outputs: ['y'] }), 'float32', [
    'batch',
    8,
  ])
  return b.build()
}

/** Runs everything that reads a model; only FtErrors may come out. */
function exercise(bytes: Uint8Array): 'read' | 'refused' {
  try {
    const model = parseModel(bytes)
    for (const tensor of tensorsOf(model.graph)) readTensor(tensor)
    inferShapes(model)
    linearLayers(model, { bind: { batch: 2 } })
    modelFingerprint(model)
    return 'read'
  } catch (error) {
    if (isFtError(error)) return 'refused'
    throw error
  }
}

describe('damaged models', () => {
  const whole = serializeModel(smallModel())

  it('reads the whole model', () => {
    expect(exercise(whole)).toBe('read')
  })

  it('every cut is refused or leaves a smaller graph, and nothing else happens', () => {
    let refused = 0
    for (let length = 0; length < whole.length; length++)
      if (exercise(whole.subarray(0, length)) === 'refused') refused++
    expect(refused).toBeGreaterThan(whole.length / 2)
  })

  it('any byte changed anywhere gives an FtError or a model', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        (changes) => {
          const bytes = Uint8Array.from(whole)
          for (const [at, value] of changes) bytes[at] = value
          exercise(bytes)
        },
      ),
      { numRuns: 3000 },
    )
  })

  it('random bytes are not a model', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => void exercise(bytes)),
      { numRuns: 1000 },
    )
  })

  it.skipIf(!haveModels)('a real model with random damage never crashes the reader', () => {
    const real = lightModel('squeezenet')
    fc.assert(
      fc.property(fc.nat(real.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, patch) => {
        const bytes = Uint8Array.from(real)
        bytes.set(patch.subarray(0, real.length - at), at)
        exercise(bytes)
      }),
      { numRuns: 300 },
    )
  })

  const expectCode = (body: () => unknown, code: string, message: RegExp) => {
    try {
      body()
    } catch (error) {
      expect(isFtError(error) && error.code).toBe(code)
      expect((error as Error).message).toMatch(message)
      return
    }
    throw new Error('nothing was thrown')
  }

  it('names what is wrong', () => {
    expectCode(() => parseModel(new Uint8Array([1, 2, 3])), 'CORRUPT_DATA', /3 bytes are not an ONNX model/)
    expectCode(() => parseModel(new Uint8Array()), 'CORRUPT_DATA', /no ONNX graph/)
    const dangling = smallModel()
    dangling.graph.node.reverse()
    expectCode(() => inferShapes(dangling), 'CORRUPT_DATA', /reads .*, which nothing before it makes/)
    expectCode(() => inferShapes(smallModel(), { inputs: { z: [1] } }), 'INVALID_ARGUMENT', /no input z; it has x/)
    expectCode(
      () => inferShapes(smallModel(), { inputs: { x: [2, 5] } }),
      'INVALID_ARGUMENT',
      /declared batchx4, got 2x5/,
    )
    expectCode(() => linearLayers(smallModel()), 'INVALID_ARGUMENT', /dimensions batch are unbound, so 1 layers/)
  })

  it('keeps external data inside the folder of the model', () => {
    const model = smallModel()
    const tensor = model.graph.initializer[0]
    if (!tensor) throw new Error('no tensor')
    tensor.rawData = new Uint8Array()
    tensor.dataLocation = 1
    for (const location of ['../secret', '/etc/passwd', 'a/../../b', 'C:\\x', '']) {
      tensor.externalData = [{ $typeName: 'onnx.StringStringEntryProto', key: 'location', value: location }]
      expectCode(
        () => parseModel(serializeModel(model), { external: () => new Uint8Array(128) }),
        'CORRUPT_DATA',
        /relative path/,
      )
    }
  })

  it('lists operators it does not know and goes on', () => {
    const b = graphBuilder({ name: 'unknown' })
    const x = b.input('x', 'float32', [2, 4])
    const strange = b.node('Frobnicate', [x], { outputs: ['f'] })
    b.output(b.node('Relu', [strange], { outputs: ['y'] }), 'float32')
    const { unsupported, values } = inferShapes(b.build())
    expect(unsupported).toEqual([{ node: 'f', opType: 'Frobnicate', output: 'f' }])
    expect(values.get('y')).toEqual({ type: undefined, shape: undefined })
  })
})
