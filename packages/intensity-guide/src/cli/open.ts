// Which model is meant: a file of a known kind, a folder that holds one, or a network of the zoo.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { FtError, type DType } from '@ft/core'
import { isLanguageModelConfig, readLanguageModel } from '../models/languageModel.ts'
import { readLayerList } from '../models/layerList.ts'
import { parseJson, type ReadNetwork } from '../models/network.ts'
import { readOnnx } from '../models/onnx.ts'
import { isTfjsModel, readTfjs } from '../models/tfjs/index.ts'
import { zoo, zooNames, type ZooName } from '../zoo/index.ts'

export interface OpenFlags {
  readonly input: Readonly<Record<string, number[]>>
  readonly bind: Readonly<Record<string, number>>
  readonly batch?: number
  readonly resolution?: [number, number]
  readonly tokens?: number
  readonly phase: string
  readonly dtype?: string
}

/** Protocol buffers end here; larger models keep their tensors in files of their own. */
const LARGEST_FILE = 2 ** 31 - 1

export function openModel(model: string, flags: OpenFlags & { zooOnly: boolean }): ReadNetwork {
  if (flags.zooOnly || (zooNames as readonly string[]).includes(model)) return fromZoo(model as ZooName, flags)
  const file = fileOf(model)
  const { input: inputs, bind, batch } = flags
  const name = basename(file)
  const sized = { ...(batch === undefined ? {} : { batch }) }
  if (!file.endsWith('.json')) return checked(readOnnx(read(file), { name, inputs, bind, ...sized }), model)

  const text = new TextDecoder().decode(read(file))
  const json = parseJson(text, name)
  if (isTfjsModel(json)) {
    const readFile = (path: string) => read(join(dirname(file), path))
    return checked(readTfjs(text, { name, inputs, readFile, ...sized }), model)
  }
  if (isLanguageModelConfig(json)) return languageModel(text, { ...flags, name: basename(dirname(file)) })
  return checked(readLayerList(text, { name }), model)
}

function fromZoo(name: ZooName, { batch = 1, resolution, tokens, dtype }: OpenFlags): ReadNetwork {
  const sized = { batch, ...(resolution ? { resolution } : {}), ...(tokens === undefined ? {} : { tokens }) }
  const network = zoo(name, { ...sized, ...(dtype === undefined ? {} : { dtype: dtype as DType }) })
  return { ...network, skipped: [], unsupported: [], unknownShare: 0 }
}

function languageModel(text: string, { name, batch, tokens, phase }: OpenFlags & { name: string }): ReadNetwork {
  const { prefill, decode } = readLanguageModel(text, {
    ...(name === '' || name === '.' ? {} : { name }),
    ...(batch === undefined ? {} : { batch }),
    ...(tokens === undefined ? {} : { prompt: tokens }),
  })
  if (phase === 'prefill') return prefill
  if (phase !== 'decode') {
    throw new FtError('INVALID_ARGUMENT', `intensity-guide: --phase must be prefill or decode, got ${phase}`, { phase })
  }
  if (decode) return decode
  throw new FtError(
    'INVALID_ARGUMENT',
    'intensity-guide: this model is an encoder and decodes nothing; use --phase prefill',
  )
}

function checked(network: ReadNetwork, model: string): ReadNetwork {
  if (network.layers.length > 0) return network
  const left = network.skipped.map(({ id, reason }) => `${id}: ${reason}`).slice(0, 3)
  const unknown = network.unsupported.length > 0 ? `; unknown operators: ${network.unsupported.join(', ')}` : ''
  const message = `intensity-guide: ${model} has no linear layers to protect${left.length > 0 ? ` (${left.join('; ')})` : ''}${unknown}`
  throw new FtError('UNSUPPORTED', message, { model })
}

/** A folder stands for the model.json or config.json in it. */
function fileOf(model: string): string {
  const folder = existsSync(model) && statSync(model).isDirectory()
  const found = folder
    ? ['model.json', 'config.json'].map((name) => join(model, name)).find((file) => existsSync(file))
    : model
  if (found !== undefined && existsSync(found)) return found
  throw new FtError(
    'IO',
    folder
      ? `intensity-guide: ${model} holds neither model.json nor config.json`
      : `intensity-guide: ${model} is neither a file nor a network of the zoo (${zooNames.join(', ')})`,
    { model },
  )
}

function read(file: string): Uint8Array {
  try {
    const { size } = statSync(file)
    if (size > LARGEST_FILE) {
      throw new FtError(
        'UNSUPPORTED',
        `intensity-guide: ${file} has ${size} bytes; models beyond 2 GiB keep their tensors in files beside a small model file: give that one`,
        { file, size },
      )
    }
    return readFileSync(file)
  } catch (cause) {
    if (cause instanceof FtError) throw cause
    throw new FtError('IO', `intensity-guide: cannot read ${file}`, { file }, { cause })
  }
}
