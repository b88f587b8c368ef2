// ONNX models on onnxruntime-node, an optional peer: how a worker runs what was trained elsewhere.
import { readFile } from 'node:fs/promises'
import type * as OnnxRuntime from 'onnxruntime-node'
import { createHash } from 'node:crypto'
import { FtError, type DType } from '@ft/core'
import { bytesOf, datatypeOf, viewAs } from '../oip/datatypes.ts'
import { toNamedTensor, type WireTensor } from '../oip/message.ts'
import type { ServedModel } from './served.ts'

type Ort = typeof OnnxRuntime

/** onnxruntime's names of the types that the protocol has as numbers. */
const types: Readonly<Record<string, DType>> = {
  float32: 'float32',
  float64: 'float64',
  int32: 'int32',
  uint32: 'uint32',
  int16: 'int16',
  uint16: 'uint16',
  int8: 'int8',
  uint8: 'uint8',
}

/**
 * Opens an ONNX file for serving: its own inputs and outputs, symbolic sizes as -1, on one thread.
 *
 * @throws FtError `MISSING_PEER` without onnxruntime-node, `IO`, `CORRUPT_DATA` for a file that it refuses, `UNSUPPORTED`
 * for inputs or outputs of other types than numbers of at most 32 bits and float64
 */
export async function openOnnxModel(file: string): Promise<ServedModel> {
  let ort: Ort
  try {
    ort = await import('onnxruntime-node')
  } catch (cause) {
    const text = 'onnx worker: needs onnxruntime-node; npm install onnxruntime-node'
    throw new FtError('MISSING_PEER', text, {}, { cause })
  }
  const bytes = await readFile(file).catch((cause: unknown) => {
    throw new FtError('IO', `onnx worker: cannot read ${file}`, { file }, { cause })
  })
  const session = await ort.InferenceSession.create(bytes, { intraOpNumThreads: 1, interOpNumThreads: 1 }).catch(
    (cause: unknown) => {
      throw new FtError(
        'CORRUPT_DATA',
        `onnx worker: ${file} must be a model that onnxruntime runs`,
        { file },
        { cause },
      )
    },
  )
  const signature = (list: readonly ValueMetadata[]) =>
    list.map((value) => {
      const dtype = value.isTensor ? types[value.type ?? ''] : undefined
      if (dtype === undefined)
        throw new FtError(
          'UNSUPPORTED',
          `onnx worker: '${value.name}' must be a tensor of numbers, got ${value.type}`,
          {
            name: value.name,
          },
        )
      const shape = (value.shape ?? []).map((size) => (typeof size === 'number' && size >= 0 ? size : -1))
      return { name: value.name, datatype: datatypeOf(dtype), shape }
    })
  const inputs = signature(session.inputMetadata)
  return {
    metadata: {
      platform: 'onnxruntime_onnx',
      inputs,
      outputs: signature(session.outputMetadata),
      // Weights and graph: two files have the same only when they answer alike
      properties: { 'ft.fingerprint': createHash('sha256').update(bytes).digest('hex') },
    },
    async infer(tensors) {
      const feeds: Record<string, InstanceType<Ort['Tensor']>> = {}
      for (const { name, datatype } of inputs) {
        const wire = tensors.find((tensor) => tensor.name === name)
        const tensor = wire && toNamedTensor(wire)
        if (!tensor || wire.datatype !== datatype)
          throw new FtError('INVALID_ARGUMENT', `infer: must have the input '${name}' of type ${datatype}`, { name })
        const aligned = viewAs(tensor.dtype, new Uint8Array(wire.bytes))
        feeds[name] = new ort.Tensor(tensor.dtype as 'float32', aligned as Float32Array, tensor.shape)
      }
      const outputs = await session.run(feeds)
      return session.outputNames.map((name): WireTensor => {
        const { type, data, dims } = outputs[name] as InstanceType<Ort['Tensor']>
        const dtype = types[type] as DType
        return { name, datatype: datatypeOf(dtype), shape: dims, bytes: bytesOf(data as Float32Array) }
      })
    },
  }
}

interface ValueMetadata {
  readonly name: string
  readonly isTensor: boolean
  readonly type?: string
  readonly shape?: readonly (number | string)[]
}
