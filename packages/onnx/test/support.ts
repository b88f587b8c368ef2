// Real models for the tests: the nine graphs of onnx/onnx's light set and Silero VAD, where they lie beside the data sets.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import * as ort from 'onnxruntime-node'
import type { OnnxModel } from '../src/index.ts'
import { addAllOutputs, serializeModelOf } from './outputs.ts'

const folder = process.env['FT_DATA_DIR'] && join(process.env['FT_DATA_DIR'], '..', 'models')
const present = folder !== undefined && existsSync(folder)
if (!present && process.env['FT_REQUIRE']?.split(',').includes('data')) {
  throw new Error(`the models beside FT_DATA_DIR (${process.env['FT_DATA_DIR'] ?? 'unset'}) are required and missing`)
}
if (!present) console.log('skipped: tests on real models need FT_DATA_DIR')

export const haveModels = present

export const lightModels = [
  'bvlc_alexnet',
  'densenet121',
  'inception_v1',
  'inception_v2',
  'resnet50',
  'shufflenet',
  'squeezenet',
  'vgg19',
  'zfnet512',
] as const

export function lightModel(name: (typeof lightModels)[number]): Uint8Array {
  return readFileSync(join(folder ?? '', 'onnx-light', `light_${name}.onnx`))
}

export function sileroModel(): Uint8Array {
  return readFileSync(join(folder ?? '', 'silero-vad', 'silero_vad_v5.onnx'))
}

/** Runs a model in onnxruntime with every value of its main graph as an output, and returns all shapes. */
export async function shapesInRuntime(
  model: OnnxModel,
  feeds: Record<string, ort.Tensor>,
): Promise<Map<string, readonly number[]>> {
  const session = await ort.InferenceSession.create(serializeModelOf(addAllOutputs(model)), {
    graphOptimizationLevel: 'disabled',
    logSeverityLevel: 3,
  })
  const results = await session.run(feeds)
  await session.release()
  return new Map(Object.entries(results).map(([name, tensor]) => [name, tensor.dims]))
}

export { ort }
