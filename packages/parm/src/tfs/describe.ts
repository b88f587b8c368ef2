// TensorFlow Serving's REST API: what it says about a model.
import type { Datatype } from '../oip/datatypes.ts'
import type { ModelMetadata, TensorMetadata } from '../oip/service.ts'

const types: Readonly<Record<Datatype, string>> = {
  BOOL: 'DT_BOOL',
  UINT8: 'DT_UINT8',
  UINT16: 'DT_UINT16',
  UINT32: 'DT_UINT32',
  UINT64: 'DT_UINT64',
  INT8: 'DT_INT8',
  INT16: 'DT_INT16',
  INT32: 'DT_INT32',
  INT64: 'DT_INT64',
  FP16: 'DT_HALF',
  BF16: 'DT_BFLOAT16',
  FP32: 'DT_FLOAT',
  FP64: 'DT_DOUBLE',
  BYTES: 'DT_STRING',
}

const versionOf = ({ versions }: ModelMetadata) => versions?.at(-1) ?? '1'

/** Body of `GET /v1/models/NAME`. */
export function modelStatus(metadata: ModelMetadata, ready: boolean): object {
  const status = ready ? { error_code: 'OK', error_message: '' } : { error_code: 'UNAVAILABLE', error_message: '' }
  return { model_version_status: [{ version: versionOf(metadata), state: ready ? 'AVAILABLE' : 'LOADING', status }] }
}

/** Body of `GET /v1/models/NAME/metadata`. */
export function modelSignature(metadata: ModelMetadata): object {
  const tensors = (all: readonly TensorMetadata[]) =>
    Object.fromEntries(
      all.map(({ name, datatype, shape }) => [
        name,
        {
          dtype: types[datatype as Datatype] ?? 'DT_INVALID',
          tensor_shape: { dim: shape.map((size) => ({ size: String(size), name: '' })), unknown_rank: false },
          name: `${name}:0`,
        },
      ]),
    )
  const signature = {
    inputs: tensors(metadata.inputs),
    outputs: tensors(metadata.outputs),
    method_name: 'tensorflow/serving/predict',
  }
  return {
    model_spec: { name: metadata.name, signature_name: '', version: versionOf(metadata) },
    metadata: { signature_def: { signature_def: { serving_default: signature } } },
  }
}
