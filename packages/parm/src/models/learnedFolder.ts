// A learned code on disk: its encoder and decoder as model folders, and a manifest (ft-code.json) that names both and the
// deployed model that they were trained through.
import { readFileSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FtError } from '@ft/core'
import { learned, type LearnedOptions } from '../codes/learned.ts'
import type { Preprocessings } from '../codes/preprocessed.ts'
import {
  isPreprocessing,
  jsonOf,
  readModelFolder,
  readModelFolderSync,
  unreadable,
  writeModelFolder,
  type SavedModel,
} from './folder.ts'
import { field } from './keras.ts'

/** What `trainLearnedCode` gives and `learned` takes. */
export type LearnedCode = Required<Omit<LearnedOptions, 'preprocessing'>> & Pick<LearnedOptions, 'preprocessing'>

interface CodeManifest {
  readonly schema: 'ft.learned-code'
  readonly version: 1
  readonly k: number
  readonly channels: number
  readonly baseFingerprint: string
  /** What had been made of the inputs that it was trained on; absent where that is not known. */
  readonly preprocessing?: Preprocessings
  /** Fingerprints of the two networks. */
  readonly encoder: string
  readonly decoder: string
}

const MANIFEST = 'ft-code.json'

/** Writes a learned code's folder. @throws FtError `IO`, `SHAPE_MISMATCH` when the networks make no code */
export async function writeLearnedCode(folder: string, code: LearnedCode): Promise<void> {
  const { k, channels, baseFingerprint, encoder, decoder, preprocessing } = code
  learned(code)
  const [first, second] = [
    await writeModelFolder(join(folder, 'encoder'), { layers: encoder }),
    await writeModelFolder(join(folder, 'decoder'), { layers: decoder }),
  ]
  const manifest: CodeManifest = {
    schema: 'ft.learned-code',
    version: 1,
    k,
    channels,
    baseFingerprint,
    ...(preprocessing === undefined ? {} : { preprocessing }),
    encoder: first.fingerprint,
    decoder: second.fingerprint,
  }
  try {
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, MANIFEST), `${JSON.stringify(manifest, null, 2)}\n`)
  } catch (cause) {
    throw new FtError('IO', `writeLearnedCode: cannot write ${folder}`, { folder }, { cause })
  }
}

/**
 * Reads a learned code, for `learned`, and checks that both networks are those that its manifest names.
 *
 * @throws FtError as `readModelFolder`; `FINGERPRINT_MISMATCH` also for the encoder or decoder of another code
 */
export async function readLearnedCode(folder: string): Promise<LearnedCode> {
  const place = { folder, file: MANIFEST }
  const text = await readFile(join(folder, MANIFEST)).catch((cause: unknown) => unreadable(cause, place))
  const manifest = parseManifest(jsonOf(text, place), folder)
  const encoder = await readModelFolder(join(folder, 'encoder'))
  return codeOf(manifest, { encoder, decoder: await readModelFolder(join(folder, 'decoder')), folder })
}

/** The same while nothing else runs, for what is read once at a start. */
export function readLearnedCodeSync(folder: string): LearnedCode {
  const place = { folder, file: MANIFEST }
  let text: Buffer
  try {
    text = readFileSync(join(folder, MANIFEST))
  } catch (cause) {
    return unreadable(cause, place)
  }
  const manifest = parseManifest(jsonOf(text, place), folder)
  const encoder = readModelFolderSync(join(folder, 'encoder'))
  return codeOf(manifest, { encoder, decoder: readModelFolderSync(join(folder, 'decoder')), folder })
}

function codeOf(
  { k, channels, baseFingerprint, preprocessing, ...named }: CodeManifest,
  { folder, ...saved }: { encoder: SavedModel; decoder: SavedModel; folder: string },
): LearnedCode {
  for (const part of ['encoder', 'decoder'] as const) {
    const got = saved[part].manifest.fingerprint
    if (got !== named[part])
      throw new FtError(
        'FINGERPRINT_MISMATCH',
        `readLearnedCode: ${join(folder, part)} must hold the network ${named[part]}, got ${got}`,
        { folder, expected: named[part], got },
      )
  }
  const networks = { encoder: saved.encoder.layers, decoder: saved.decoder.layers }
  return { k, channels, baseFingerprint, ...(preprocessing === undefined ? {} : { preprocessing }), ...networks }
}

function parseManifest(json: unknown, folder: string): CodeManifest {
  const file = join(folder, MANIFEST)
  const whole =
    field(json, 'schema') === 'ft.learned-code' &&
    ['k', 'channels'].every((key) => Number.isSafeInteger(field(json, key))) &&
    ['baseFingerprint', 'encoder', 'decoder'].every((key) => typeof field(json, key) === 'string') &&
    isPreprocessing(field(json, 'preprocessing'))
  if (!whole)
    throw new FtError('CORRUPT_DATA', `readLearnedCode: ${file} must be a manifest of a learned code`, { folder })
  const version = field(json, 'version')
  if (version !== 1)
    throw new FtError('VERSION_UNSUPPORTED', `readLearnedCode: ${file} must be of version 1`, { folder, version })
  return json as CodeManifest
}
