// The base models of the ParM and learned-code papers: raw float32 weights with a manifest that says what they are.
import { createHash } from 'node:crypto'
import { FtError, type Tensor } from '@ft/core'
import { corrupt } from './internal/corrupt.ts'
import { readWhole, type Source } from './internal/source.ts'
import { locate } from './locate.ts'
import type { ReadSetOptions } from './tabularSets.ts'

export interface BaseModel {
  readonly name: string
  /** '784-200-ReLU-100-ReLU-10'. Input: pixels / 255; output: logits. */
  readonly architecture: string
  /** In the order of the layers; a weight is `[out, in]`. */
  readonly tensors: readonly { readonly name: string; readonly tensor: Tensor }[]
  /** Logits of test image 0, to four decimals. */
  readonly expectedLogits: readonly number[]
  /** How many of the test images the model classifies correctly. */
  readonly testCorrect: number
  readonly testTotal: number
}

export type BaseModelName = 'mnist-base-mlp' | 'fashion-mnist-base-mlp' | 'mnist-logistic'

const READER = 'readBaseModel'

/**
 * Reads one model of the set `parm-base-models`, with its checksum.
 *
 * @throws FtError `IO`, `CORRUPT_DATA` when manifest and weights do not fit together, `CHECKSUM_MISMATCH`
 */
export async function readBaseModel(name: BaseModelName, options: ReadSetOptions = {}): Promise<BaseModel> {
  const set = options.set ?? locate('parm-base-models')
  const manifest = set.source('manifest.json')
  return parseBaseModel(name, { manifest, weights: set.source(`${name}.f32`) })
}

/** Reads one entry of a manifest and its weights file. */
export async function parseBaseModel(
  name: string,
  o: { readonly manifest: Source; readonly weights: Source },
): Promise<BaseModel> {
  const wrong = (source: Source, where: string, expected: string, got: string) =>
    corrupt({ reader: READER, source, where, expected, got })
  const text = new TextDecoder().decode(await readWhole(o.manifest, READER))
  const entry = entryOf(text, name)
  if (typeof entry === 'string') throw wrong(o.manifest, `entry '${name}'`, entry, 'another form')

  const bytes = await readWhole(o.weights, READER)
  const floats = entry.tensors.reduce((sum, { length }) => sum + length, 0)
  if (bytes.length !== floats * 4) throw wrong(o.weights, 'length', `${floats * 4} bytes`, `${bytes.length}`)
  const sum = createHash('sha256').update(bytes).digest('hex')
  if (sum !== entry.sha256) {
    throw new FtError(
      'CHECKSUM_MISMATCH',
      `${READER}: weights of ${name} must have SHA-256 ${entry.sha256}, got ${sum}`,
      {
        name,
        expected: entry.sha256,
        got: sum,
      },
    )
  }
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const data = Float32Array.from({ length: floats }, (_, i) => view.getFloat32(4 * i, true))
  return {
    name,
    architecture: entry.architecture,
    tensors: entry.tensors.map((tensor) => ({
      name: tensor.name,
      tensor: {
        data: data.slice(tensor.offset, tensor.offset + tensor.length),
        shape: tensor.shape,
        dtype: 'float32' as const,
      },
    })),
    expectedLogits: entry.expected_logits_test0,
    testCorrect: entry.test_correct,
    testTotal: entry.test_total,
  }
}

interface ManifestTensor {
  readonly name: string
  readonly shape: readonly number[]
  /** In floats. */
  readonly offset: number
  readonly length: number
}

interface ManifestEntry {
  readonly dtype: string
  readonly architecture: string
  readonly tensors: readonly ManifestTensor[]
  readonly sha256: string
  readonly test_correct: number
  readonly test_total: number
  readonly expected_logits_test0: readonly number[]
}

/** The entry, or what was expected of it. */
function entryOf(text: string, name: string): ManifestEntry | string {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return 'JSON'
  }
  if (!isObject(json) || !Object.hasOwn(json, name)) return `a manifest that has '${name}'`
  const entry = json[name]
  if (!isObject(entry) || typeof entry['architecture'] !== 'string') return 'an entry with an architecture'
  if (!String(entry['dtype']).startsWith('float32 little-endian')) return "dtype 'float32 little-endian'"
  if (!/^[0-9a-f]{64}$/.test(String(entry['sha256']))) return 'a sha256'
  if (!isCount(entry['test_correct']) || !isCount(entry['test_total'])) return 'test_correct and test_total'
  const logits = entry['expected_logits_test0']
  if (!Array.isArray(logits) || !logits.every((logit) => Number.isFinite(logit))) return 'expected_logits_test0'
  const tensors = entry['tensors']
  if (!Array.isArray(tensors) || tensors.length === 0) return 'tensors'
  let offset = 0
  for (const tensor of tensors as unknown[]) {
    if (!isTensor(tensor) || tensor.offset !== offset) return `tensors back to back, the next at ${offset}`
    offset += tensor.length
  }
  return entry as unknown as ManifestEntry
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0

function isTensor(value: unknown): value is ManifestTensor {
  if (!isObject(value) || typeof value['name'] !== 'string' || !isCount(value['length'])) return false
  const shape = value['shape']
  if (!Array.isArray(shape) || !shape.every(isCount)) return false
  return shape.reduce((product, size) => product * size, 1) === value['length']
}
