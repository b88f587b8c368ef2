// The state of a training between two epochs, in one file: with it, a training that was ended goes on to the same bits.
// Written beside its place and moved there when it is whole, so that an end in between leaves the earlier file.
import { createHash } from 'node:crypto'
import { readFile, rename, rm, writeFile } from 'node:fs/promises'
import { FtError } from '@ft/core'

export interface EpochRecord {
  readonly epoch: number
  /** Mean over the epoch's steps. */
  readonly loss: number
  /** On the validation samples. */
  readonly degraded: number
}

/** What an epoch is judged by, of which `degraded` is for display. */
export interface Judged {
  readonly degraded: number
}

export interface TrainingState<J extends Judged> {
  readonly epoch: number
  readonly steps: number
  readonly best: { readonly epoch: number; readonly accuracy: J; readonly parameters: readonly Float32Array[] }
  readonly history: readonly EpochRecord[]
  readonly parameters: readonly Float32Array[]
  readonly means: readonly Float32Array[]
  readonly squares: readonly Float32Array[]
}

const MAGIC = 'FTTRAIN1'
const DIGEST_BYTES = 32
const WHERE = 'resume'

/**
 * @param run - what the state belongs to: data, settings, seed; a file of another run is refused when it is read
 * @throws FtError `IO`; an earlier file at `file` is then unharmed
 */
export async function writeCheckpoint<J extends Judged>(
  file: string,
  { run, state }: { run: string; state: TrainingState<J> },
): Promise<void> {
  const { parameters, means, squares, best, ...rest } = state
  const header = {
    run,
    ...rest,
    best: { epoch: best.epoch, accuracy: best.accuracy },
    lengths: parameters.map((p) => p.length),
  }
  const text = Buffer.from(JSON.stringify(header))
  const size = Buffer.alloc(4)
  size.writeUInt32LE(text.length)
  const arrays = [parameters, means, squares, best.parameters].flat()
  const body = Buffer.concat([
    Buffer.from(MAGIC),
    size,
    text,
    ...arrays.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
  ])
  const unfinished = `${file}.unfinished`
  try {
    await writeFile(unfinished, Buffer.concat([body, createHash('sha256').update(body).digest()]), { flush: true })
    await rename(unfinished, file)
  } catch (cause) {
    await rm(unfinished, { force: true }).catch(() => undefined)
    throw new FtError('IO', `checkpoint: ${file} could not be written; look at the cause`, { file }, { cause })
  }
}

/**
 * The state in a file; undefined when there is no file.
 *
 * @throws FtError `IO`, `CORRUPT_DATA`, `CHECKSUM_MISMATCH`; `FINGERPRINT_MISMATCH` when it belongs to another run
 */
export async function readCheckpoint<J extends Judged>(
  file: string,
  { run }: { run: string },
): Promise<TrainingState<J> | undefined> {
  let bytes: Buffer
  try {
    bytes = await readFile(file)
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw new FtError('IO', `${WHERE}: cannot read ${file}`, { file }, { cause })
  }
  const body = bytes.subarray(0, -DIGEST_BYTES)
  if (body.length < MAGIC.length + 4 || body.toString('latin1', 0, MAGIC.length) !== MAGIC)
    throw new FtError('CORRUPT_DATA', `${WHERE}: ${file} must be a checkpoint of a training`, { file })
  if (!createHash('sha256').update(body).digest().equals(bytes.subarray(-DIGEST_BYTES)))
    throw new FtError('CHECKSUM_MISMATCH', `${WHERE}: ${file} is not as it was written; remove it to start anew`, {
      file,
    })
  const start = MAGIC.length + 4
  const end = start + body.readUInt32LE(MAGIC.length)
  const header = JSON.parse(body.toString('utf8', start, end)) as Omit<TrainingState<J>, 'best'> & {
    run: string
    lengths: number[]
    best: { epoch: number; accuracy: J }
  }
  if (header.run !== run)
    throw new FtError(
      'FINGERPRINT_MISMATCH',
      `${WHERE}: ${file} must belong to this training (same data, model, code, settings and seed); remove it to start anew`,
      { file, expected: run, got: header.run },
    )
  let at = end
  const take = () =>
    header.lengths.map((length) => {
      const array = new Float32Array(new Uint8Array(body.subarray(at, at + 4 * length)).buffer)
      at += 4 * length
      return array
    })
  const [parameters, means, squares, best] = [take(), take(), take(), take()]
  const { epoch, steps, history } = header
  return { epoch, steps, history, parameters, means, squares, best: { ...header.best, parameters: best } }
}
