// Which model is meant: a file of a known kind, a folder that holds one, or a network of the zoo.
import { existsSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { FtError, inFile, type DType } from '@ft/core'
import { isLanguageModelConfig, readLanguageModel } from '../models/languageModel.ts'
import { readLayerList } from '../models/layerList.ts'
import { parseJson, type ReadNetwork } from '../models/network.ts'
import { readOnnx } from '../models/onnx.ts'
import { isTfjsModel, readTfjs } from '../models/tfjs/index.ts'
import { zoo, zooNames, type ZooName } from '../zoo/index.ts'

export interface OpenFlags {
  readonly input: Readonly<Record<string, number[]>>
  readonly bind: Readonly<Record<string, number>>
  readonly value: Readonly<Record<string, number[]>>
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
  const { input: inputs, bind, value: values, batch } = flags
  const name = basename(file)
  const sized = { ...(batch === undefined ? {} : { batch }) }
  if (!file.endsWith('.json')) {
    refuseOthers(flags, { what: 'an ONNX model', takes: ['input', 'bind', 'value', 'batch'] })
    const bytes = read(file)
    return checked(
      inFile(model, () => readOnnx(bytes, { name, inputs, bind, values, ...sized })),
      model,
    )
  }

  const text = new TextDecoder().decode(read(file))
  const json = parseJson(text, name)
  if (isTfjsModel(json)) {
    refuseOthers(flags, { what: 'a TensorFlow.js model', takes: ['input', 'batch'] })
    const readFile = (path: string) => read(join(dirname(file), path))
    return checked(
      inFile(model, () => readTfjs(text, { name, inputs, readFile, ...sized })),
      model,
    )
  }
  if (isLanguageModelConfig(json)) {
    refuseOthers(flags, { what: 'a language model', takes: ['batch', 'tokens', 'phase'] })
    return inFile(model, () => languageModel(text, { ...flags, name: basename(dirname(file)) }))
  }
  if (!Array.isArray(json)) {
    throw new FtError(
      'CORRUPT_DATA',
      `intensity-guide: ${model} is no model: TensorFlow.js has modelTopology, a config.json model_type, a list of layers is an array`,
      { model },
    )
  }
  refuseOthers(flags, { what: 'a list of layers', takes: [] })
  return checked(
    inFile(model, () => readLayerList(text, { name })),
    model,
  )
}

const shaping = ['input', 'bind', 'value', 'batch', 'resolution', 'tokens', 'phase'] as const

/** @throws FtError `INVALID_ARGUMENT` for a flag that this kind of model would not heed */
function refuseOthers(
  flags: OpenFlags,
  { what, takes }: { what: string; takes: readonly (typeof shaping)[number][] },
): void {
  const isGiven = (flag: (typeof shaping)[number]): boolean => {
    const value = flags[flag]
    if (flag === 'phase') return value !== 'prefill'
    return Array.isArray(value) || (typeof value === 'object' ? Object.keys(value).length > 0 : value !== undefined)
  }
  const wrong = shaping.find((flag) => isGiven(flag) && !takes.includes(flag))
  if (wrong === undefined) return
  const has = takes.length === 0 ? 'none of these flags' : takes.map((flag) => `--${flag}`).join(', ')
  throw new FtError('INVALID_ARGUMENT', `intensity-guide: ${what} takes no --${wrong}; it takes ${has}`, {
    flag: wrong,
  })
}

function fromZoo(name: ZooName, flags: OpenFlags): ReadNetwork {
  const own = name === 'transformer' ? (['tokens'] as const) : name.startsWith('dlrm') ? [] : (['resolution'] as const)
  refuseOthers(flags, { what: `${name} of the zoo`, takes: ['batch', ...own] })
  const { batch = 1, resolution, tokens, dtype } = flags
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
