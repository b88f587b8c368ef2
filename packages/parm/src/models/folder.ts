// A model on disk: TensorFlow.js layers files (model.json, weights.bin), which tf.loadLayersModel reads, and a manifest
// (ft-model.json) that names its fingerprint and, for a parity model, the base model and code it belongs to.
import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FtError, isFtError, type Tensor } from '@ft/core'
import { assertPreprocessing, type Preprocessings } from '../codes/preprocessed.ts'
import { assertLayers, fingerprintOf, type Layer } from './layers.ts'
import { field, keras, unkeras } from './keras.ts'

/** What a parity model belongs to. */
export interface ParityBinding {
  readonly baseFingerprint: string
  /** Name of the code, such as 'sum'. */
  readonly code: string
  readonly k: number
  /** What the model's outputs are: the queries' outputs times these, summed. Absent in folders of earlier versions. */
  readonly weights?: readonly number[]
  /** What had been made of the inputs that it was trained on, by their names; `{}`: nothing. Absent: not known. */
  readonly preprocessing?: Preprocessings
}

export interface ModelManifest {
  readonly schema: 'ft.model'
  readonly version: 1
  readonly fingerprint: string
  readonly parity?: ParityBinding
}

/** Writes a model folder. @throws FtError `IO` */
export async function writeModelFolder(
  folder: string,
  { layers, parity }: { readonly layers: readonly Layer[]; readonly parity?: ParityBinding },
): Promise<ModelManifest> {
  assertLayers(layers, 'writeModelFolder')
  const manifest: ModelManifest = {
    schema: 'ft.model',
    version: 1,
    fingerprint: fingerprintOf(layers),
    ...(parity ? { parity } : {}),
  }
  const { config, names } = keras(layers)
  const model = {
    format: 'layers-model',
    generatedBy: '@ft/parm',
    convertedBy: null,
    modelTopology: {
      class_name: 'Sequential',
      config: { name: 'model', layers: config },
      keras_version: 'tfjs-layers 4.22.0',
      backend: 'tensor_flow.js',
    },
    weightsManifest: [
      {
        paths: ['weights.bin'],
        weights: layers.flatMap(({ weights, bias }, i) => [
          { name: `${names[i]}/kernel`, shape: weights.shape, dtype: 'float32' },
          { name: `${names[i]}/bias`, shape: bias.shape, dtype: 'float32' },
        ]),
      },
    ],
  }
  const bytes = Buffer.concat(
    layers.flatMap(({ weights, bias }) =>
      [weights, bias].map(({ data }) => Buffer.from(data.buffer, data.byteOffset, data.byteLength)),
    ),
  )
  try {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'weights.bin'), bytes)
    await writeFile(join(folder, 'model.json'), JSON.stringify(model))
    await writeFile(join(folder, 'ft-model.json'), `${JSON.stringify(manifest, null, 2)}\n`)
  } catch (cause) {
    throw new FtError('IO', `writeModelFolder: cannot write ${folder}`, { folder }, { cause })
  }
  return manifest
}

/**
 * Reads a model folder and checks that its weights are those of its manifest.
 *
 * @throws FtError `IO`, `CORRUPT_DATA`, `VERSION_UNSUPPORTED`, `UNSUPPORTED` for other layers than dense ones and convolutions,
 * `FINGERPRINT_MISMATCH`
 */
export async function readModelFolder(folder: string): Promise<SavedModel> {
  const files: Buffer[] = []
  for (const file of FILES)
    files.push(await readFile(join(folder, file)).catch((cause: unknown) => unreadable(cause, { folder, file })))
  return modelOf(files, folder)
}

/** The same while nothing else runs, for what is read once at a start. */
export function readModelFolderSync(folder: string): SavedModel {
  const read = (file: string) => {
    try {
      return readFileSync(join(folder, file))
    } catch (cause) {
      return unreadable(cause, { folder, file })
    }
  }
  return modelOf(FILES.map(read), folder)
}

export interface SavedModel {
  readonly layers: Layer[]
  readonly manifest: ModelManifest
}

const FILES = ['ft-model.json', 'model.json', 'weights.bin'] as const

function modelOf([manifestText, modelText, bytes]: readonly Buffer[], folder: string): SavedModel {
  const manifest = parseManifest(jsonOf(manifestText as Buffer, { folder, file: 'ft-model.json' }), folder)
  const layers = layersOf(jsonOf(modelText as Buffer, { folder, file: 'model.json' }), {
    bytes: bytes as Buffer,
    folder,
  })
  const fingerprint = fingerprintOf(layers)
  if (fingerprint !== manifest.fingerprint)
    throw new FtError(
      'FINGERPRINT_MISMATCH',
      `readModelFolder: ${folder} must hold the model ${manifest.fingerprint}, got ${fingerprint}`,
      {
        folder,
        expected: manifest.fingerprint,
        got: fingerprint,
      },
    )
  return { layers, manifest }
}

interface Place {
  readonly folder: string
  readonly file: string
}

/** @throws FtError `IO` */
export function unreadable(cause: unknown, { folder, file }: Place): never {
  throw new FtError('IO', `cannot read ${join(folder, file)}`, { folder, file }, { cause })
}

/** @throws FtError `CORRUPT_DATA` */
export function jsonOf(text: Buffer, { folder, file }: Place): unknown {
  try {
    return JSON.parse(text.toString('utf8'))
  } catch (cause) {
    const message = `${join(folder, file)} must be JSON`
    throw new FtError('CORRUPT_DATA', message, { folder, file }, { cause })
  }
}

function parseManifest(json: unknown, folder: string): ModelManifest {
  const parity = field(json, 'parity')
  const bound =
    parity === undefined ||
    (typeof field(parity, 'baseFingerprint') === 'string' &&
      typeof field(parity, 'code') === 'string' &&
      Number.isSafeInteger(field(parity, 'k')) &&
      areWeights(field(parity, 'weights')) &&
      isPreprocessing(field(parity, 'preprocessing')))
  if (field(json, 'schema') !== 'ft.model' || !bound || typeof field(json, 'fingerprint') !== 'string')
    throw new FtError('CORRUPT_DATA', `readModelFolder: ${folder}/ft-model.json must be a manifest of this package`, {
      folder,
    })
  if (field(json, 'version') !== 1)
    throw new FtError('VERSION_UNSUPPORTED', `readModelFolder: ${folder}/ft-model.json must be of version 1`, {
      folder,
      version: field(json, 'version'),
    })
  return json as ModelManifest
}

const areWeights = (weights: unknown) =>
  weights === undefined || (Array.isArray(weights) && weights.every((weight) => Number.isFinite(weight)))

export function isPreprocessing(preprocessing: unknown): boolean {
  if (preprocessing === undefined) return true
  const isObject = (value: unknown) => typeof value === 'object' && value !== null && !Array.isArray(value)
  if (!isObject(preprocessing)) return false
  const entries = Object.values(preprocessing as object)
  if (!entries.every(isObject)) return false
  const lists = entries.flatMap((one: object) => [field(one, 'mean'), field(one, 'std')])
  // Normalised by channel with both, or with neither
  if (!lists.every((list) => list === undefined || Array.isArray(list))) return false
  if (entries.some((one: object) => (field(one, 'mean') === undefined) !== (field(one, 'std') === undefined)))
    return false
  try {
    assertPreprocessing(preprocessing as Preprocessings)
    return true
  } catch (error) {
    if (isFtError(error, 'INVALID_ARGUMENT')) return false
    throw error
  }
}

function layersOf(model: unknown, { bytes, folder }: { bytes: Buffer; folder: string }): Layer[] {
  const weights = field((field(model, 'weightsManifest') as unknown[] | undefined)?.[0], 'weights')
  const take = weightReader(bytes, folder)
  const specs = Array.isArray(weights) ? (weights as unknown[]) : []
  let next = 0
  const layers = unkeras(field(field(field(model, 'modelTopology'), 'config'), 'layers'), folder).map((form) => ({
    ...form,
    weights: take(specs[next++]),
    bias: take(specs[next++]),
  }))
  if (layers.length === 0 || specs.length !== next)
    throw new FtError(
      'CORRUPT_DATA',
      `readModelFolder: ${folder}/model.json must list layers, and a kernel and a bias for each`,
      {
        folder,
      },
    )
  assertLayers(layers, 'readModelFolder')
  return layers
}

/** Reads one described array after the other. */
function weightReader(bytes: Buffer, folder: string): (spec: unknown) => Tensor {
  let at = 0
  return (spec) => {
    const shape = field(spec, 'shape')
    if (
      field(spec, 'dtype') !== 'float32' ||
      !Array.isArray(shape) ||
      !shape.every((length) => Number.isSafeInteger(length) && length > 0)
    )
      throw new FtError('CORRUPT_DATA', `readModelFolder: ${folder}/model.json must describe float32 weights`, {
        folder,
      })
    const size = (shape as number[]).reduce((product, length) => product * length, 1)
    if (at + 4 * size > bytes.length)
      throw new FtError(
        'CORRUPT_DATA',
        `readModelFolder: ${folder}/weights.bin must have at least ${at + 4 * size} bytes, got ${bytes.length}`,
        { folder },
      )
    const data = new Float32Array(new Uint8Array(bytes.subarray(at, at + 4 * size)).buffer)
    at += 4 * size
    return { data, shape: shape as number[], dtype: 'float32' as const }
  }
}
