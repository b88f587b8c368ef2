// Compiled kernels: made when first needed and kept as long as the device, for every engine on it.
/// <reference types="@webgpu/types" />
import { FtError } from '@ft/core'
import { effectCodes } from '../problem/effects.ts'
import { stageCompute } from './constants.ts'
import { columnsOfAShader, foldShader } from './shader/checksums.ts'
import { bindings } from './shader/operands.ts'
import { matrixProductShader } from './shader/matrixProduct.ts'
import { productShader } from './shader/product.ts'
import { variantKey, type Storage, type Variant } from './shader/variant.ts'

export interface Pipelines {
  readonly layout: GPUBindGroupLayout
  product(variant: Variant): Promise<GPUComputePipeline>
  fold(storage: Storage, columns: number): Promise<GPUComputePipeline>
  columnsOfA(storage: Storage, gather: boolean): Promise<GPUComputePipeline>
}

function shaderOf(variant: Variant): string {
  const { tile } = variant
  const { matrices } = tile
  return matrices === undefined
    ? productShader(variant, effectCodes)
    : matrixProductShader({ ...variant, tile: { ...tile, matrices } }, effectCodes)
}

const known = new WeakMap<GPUDevice, Pipelines>()

export function pipelinesOf(device: GPUDevice): Pipelines {
  let pipelines = known.get(device)
  if (pipelines === undefined) {
    pipelines = createPipelines(device)
    known.set(device, pipelines)
  }
  return pipelines
}

function createPipelines(device: GPUDevice): Pipelines {
  const layout = device.createBindGroupLayout({
    label: 'ft product',
    entries: bindings.map((name, binding) => ({
      binding,
      visibility: stageCompute,
      buffer: { type: name === 'params' ? 'uniform' : name === 'out' ? 'storage' : 'read-only-storage' },
    })),
  })
  const pipelineLayout = device.createPipelineLayout({ bindGroupLayouts: [layout] })
  const made = new Map<string, Promise<GPUComputePipeline>>()

  function get(key: string, code: () => string): Promise<GPUComputePipeline> {
    let pipeline = made.get(key)
    if (pipeline === undefined) {
      pipeline = compile(key, code())
      made.set(key, pipeline)
      pipeline.catch(() => made.delete(key))
    }
    return pipeline
  }

  async function compile(label: string, code: string): Promise<GPUComputePipeline> {
    const module = device.createShaderModule({ label, code })
    try {
      return await device.createComputePipelineAsync({
        label,
        layout: pipelineLayout,
        compute: { module, entryPoint: 'main' },
      })
    } catch (cause) {
      const { messages } = await module.getCompilationInfo()
      const where = messages.map(({ lineNum, linePos, message }) => `${lineNum}:${linePos} ${message}`).join('; ')
      throw new FtError(
        'ENGINE_UNAVAILABLE',
        `webgpu: the adapter does not compile the kernel '${label}': ${where || String(cause)}`,
        { kernel: label },
        { cause },
      )
    }
  }

  return {
    layout,
    product: (variant) => get(`product ${variantKey(variant)}`, () => shaderOf(variant)),
    fold: (storage, columns) => get(`fold ${storage} ${columns}`, () => foldShader(storage, columns)),
    columnsOfA: (storage, gather) => get(`columns of A ${storage} ${gather}`, () => columnsOfAShader(storage, gather)),
  }
}
