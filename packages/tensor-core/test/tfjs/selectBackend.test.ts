// Choosing a TensorFlow.js backend: order, reasons, the native bindings (played by a binding that computes with the cpu
// backend's kernels), and what is told when nothing works.
import { isFtError } from '@ft/core'
import { afterEach, describe, expect, it } from 'vitest'
import { selectTfjsBackend } from '../../src/tfjs.ts'
import { tf } from './support.ts'

const installed = (name: string): Promise<unknown> => import(/* @vite-ignore */ name)

/** A binding as @tensorflow/tfjs-node's: TensorFlow.js with a backend 'tensorflow' registered. */
function binding(gpu: boolean): typeof tf {
  tf.registerBackend('tensorflow', () => {
    const backend = (tf.findBackendFactory('cpu') as () => object)()
    return Object.assign(backend, { isUsingGpuDevice: gpu }) as never
  })
  for (const kernel of tf.getKernelsForBackend('cpu'))
    if (!tf.getKernel(kernel.kernelName, 'tensorflow')) tf.registerKernel({ ...kernel, backendName: 'tensorflow' })
  return tf
}

afterEach(() => {
  for (const { kernelName } of tf.getKernelsForBackend('tensorflow')) tf.unregisterKernel(kernelName, 'tensorflow')
  if (tf.engine().registryFactory['tensorflow']) tf.removeBackend('tensorflow')
})

describe('selectTfjsBackend', () => {
  it('takes wasm where no native binding and no webgpu backend is installed, and says why not those', async () => {
    const { backend, tf: chosen, passedOver } = await selectTfjsBackend()
    expect(backend).toBe('wasm')
    expect(chosen.getBackend()).toBe('wasm')
    expect(passedOver.map((entry) => entry.backend)).toEqual(['tfjs-node-gpu', 'tfjs-node', 'webgpu'])
    for (const { reason } of passedOver) expect(reason.length).toBeGreaterThan(10)
    expect(passedOver[0]?.reason).toContain('tfjs-node-gpu')
  })

  it('takes what is preferred first, and the others after it', async () => {
    const cpu = await selectTfjsBackend({ prefer: 'cpu' })
    expect([cpu.backend, cpu.tf.getBackend(), cpu.passedOver]).toEqual(['cpu', 'cpu', []])
    const second = await selectTfjsBackend({ prefer: ['tfjs-node', 'wasm'] })
    expect([second.backend, second.passedOver.map((entry) => entry.backend)]).toEqual(['wasm', ['tfjs-node']])
  })

  it('takes tfjs-node-gpu when its binding computes on a GPU', async () => {
    const load = async (name: string): Promise<unknown> =>
      name === '@tensorflow/tfjs-node-gpu' ? binding(true) : installed(name)
    const { backend, tf: chosen, passedOver } = await selectTfjsBackend({ load })
    expect([backend, chosen.getBackend(), passedOver]).toEqual(['tfjs-node-gpu', 'tensorflow', []])
  })

  it('passes tfjs-node-gpu over when its binding fell back to the processor, and takes tfjs-node', async () => {
    const load = async (name: string): Promise<unknown> =>
      name.startsWith('@tensorflow/tfjs-node') ? { default: { ...binding(false) } } : installed(name)
    const { backend, passedOver } = await selectTfjsBackend({ load })
    expect(backend).toBe('tfjs-node')
    expect(passedOver[0]?.reason).toContain('no CUDA device')
  })

  it('passes over a binding that does not load, does not start, or computes wrongly', async () => {
    const load = async (name: string): Promise<unknown> => {
      if (name === '@tensorflow/tfjs-node-gpu')
        throw new Error('libtensorflow.so.2: cannot open shared object file\n  at dlopen')
      if (name === '@tensorflow/tfjs-node') return { ...tf, setBackend: async () => false }
      if (name === '@tensorflow/tfjs-backend-wasm') return { setWasmPaths: () => undefined }
      if (name === '@tensorflow/tfjs-backend-webgpu') throw new Error('not here')
      return { ...tf, matMul: (a: tf.Tensor) => tf.mul(a, 2) }
    }
    const error = await selectTfjsBackend({ load }).catch((thrown: unknown) => thrown)
    expect(isFtError(error, 'MISSING_PEER')).toBe(true)
    const { details, message } = error as {
      details: { passedOver: { backend: string; reason: string }[] }
      message: string
    }
    const reasons = Object.fromEntries(details.passedOver.map(({ backend, reason }) => [backend, reason]))
    expect(reasons['tfjs-node-gpu']).toBe('libtensorflow.so.2: cannot open shared object file')
    expect(reasons['tfjs-node']).toContain("could not start its backend 'tensorflow'")
    expect(reasons['cpu']).toContain('is 2, not 11')
    expect(Object.keys(reasons)).toHaveLength(5)
    expect(message).toContain('npm install @tensorflow/tfjs')
  })

  it('refuses names that are not backends', async () => {
    for (const prefer of ['cuda', ['wasm', 'webgl'], 3])
      await expect(selectTfjsBackend({ prefer: prefer as never })).rejects.toSatisfy((error) =>
        isFtError(error, 'INVALID_ARGUMENT'),
      )
  })
})
