// One server's part of a run on a Redis node: blocks of records behind a fence. A connection that breaks is made again, and
// what was under way is said again, as long as the node is the same start of the same process and its fence is still ours; an
// owner that takes the place of a dead one finds its rows there under the same conditions.
// Everything else is an erasure: the part is lost, whatever the node holds.
import type { Redis } from 'ioredis'
import { FtError } from '@ft/core'
import { connectNode, nameOf, type NodeOptions, type RedisNode } from './node.ts'
import {
  packParityNote,
  packPushNote,
  unpackParityNote,
  unpackPushNote,
  type ParityNote,
  type PushNote,
} from './notes.ts'
import { bytesOfBlock, type Shape, type Shapes } from './records.ts'
import * as scripts from './scripts.ts'

export interface PartOptions extends NodeOptions {
  readonly shapes: Shapes
  /** Of the keys of all runs of this name, before the tag. */
  readonly keyspace: string
  readonly run: Run
  /** Which set of servers, which server of it, which life of that server. */
  readonly generation: number
  readonly server: number
  readonly epoch: number
  /** Of the owners: a later one has a greater number. */
  readonly life: number
  /** Whether the part is there already, from an earlier owner. */
  readonly adopt: boolean
  /** The part answers no more, told once. */
  lost(cause: unknown): void
}

/** A run, as nodes know it. A later one has a greater number. */
export interface Run {
  readonly number: number
  readonly id: string
}

/** Changes to records of parity rows: see `addDifferences`. */
export interface Differences {
  /** Whose differences they are: a server, its push, and its rows, one a record. */
  readonly of: ParityNote
  /** Which of several lots of the same push: each leaves a note. */
  readonly piece: number
  readonly locals: ArrayLike<number>
  /** Three words each: the word of the record that has the version, the version begun at, the version led to. */
  readonly heads: Uint32Array
  /** Whole records each. */
  readonly words: Uint32Array
}

export interface Part {
  /** Heartbeats since its last answer. */
  silent: number
  /** No row was missing when it was opened: one that is there for the first time, or that an owner had finished rebuilding. */
  readonly whole: boolean
  read(shape: Shape, locals: ArrayLike<number>): Promise<Uint32Array>
  /** Replaces records. */
  write(shape: Shape, locals: ArrayLike<number>, records: Uint32Array): Promise<void>
  /** Replaces data records by what an update made of them, and notes it. */
  update(note: PushNote, records: Uint32Array): Promise<void>
  /** Adds differences to parity records; places in the list of those that could not be, as a difference before them is missing. */
  add(differences: Differences): Promise<number[]>
  /** What earlier owners noted. */
  pushNotes(): Promise<PushNote[]>
  parityNotes(): Promise<ParityNote[]>
  /** Takes away what earlier owners noted of their pushes here, and of differences of a server's. */
  forgetPushNotes(): Promise<void>
  forgetParityNotes(server: number): Promise<void>
  /** No row is missing any more. */
  markWhole(): Promise<void>
  ping(): Promise<void>
  cpuSeconds(): Promise<number>
  /** Takes all keys away; with `owner` the node's, too: it is free then. */
  erase(options: { readonly owner: boolean }): Promise<void>
  drop(): void
}

/** Records a script works on at most: a few milliseconds in which the node answers nobody else. */
const rowsACall = 1_024
const bytesACall = 2 ** 20
const blocksACall = 16
/** Milliseconds that a script may take while a node is taken. */
const slowest = 10_000

export const ownerOf = ({ number, id }: Run): string => `${number} ${id}`

/**
 * Takes a node for a part and allocates its rows, all zeros; or takes a part over as it is.
 *
 * @throws what the node says, or the network
 */
export async function openPart(o: PartOptions): Promise<Part> {
  const first = await connectNode(o)
  const prefix = `${o.keyspace}:{${first.tag}}`
  const own = `${prefix}${o.run.number}.${o.generation}.${o.server}`
  const fenceKey = `${own}:fence`
  const wholeKey = `${own}:whole`
  const pushesKey = `${own}:pushes`
  const tagsKey = `${own}:tags`
  const blockKey = ({ kind }: Shape, block: number): string => `${own}:${kind}:${block}`
  /** Of the fence: what is the same for every owner. A node that was started anew is another. */
  const ground = `${ownerOf(o.run)} ${o.epoch} ${first.runId} `
  let fence = `${ground}${o.life} 0`
  let links = 0
  let whole = o.epoch === 1
  let node = first
  let linking: Promise<RedisNode> | undefined
  let dropped = false

  const script = (client: Redis, text: string, keys: readonly string[], args: readonly (string | number | Buffer)[]) =>
    client.callBuffer('EVAL', text, keys.length, ...keys, ...args) as Promise<Buffer>

  const part: Part = {
    silent: 0,
    get whole() {
      return whole
    },
    async read(shape, locals) {
      const { words } = shape
      const out = new Uint32Array(locals.length * words)
      const bytes = Buffer.from(out.buffer)
      await inPieces(locals.length, words, async (from, to) => {
        const { keys, places } = locate(shape, locals, { from, to, before: 1, words: 2 })
        const records = await call(scripts.readRecords, [fenceKey, ...keys], () => [words * 4, places])
        bytes.set(records, from * words * 4)
      })
      return out
    },
    write: (shape, locals, records) => writePieces({ shape, locals, records }, () => []),
    update(note, records) {
      const { locals, push, bases, versions, deltas } = note
      const width = locals.length === 0 ? 0 : deltas.length / locals.length
      return writePieces({ shape: o.shapes.data, locals, records }, (from, to) => {
        const some = { push, locals: locals.slice(from, to), bases: bases.slice(from, to) }
        const rest = { versions: versions.slice(from, to), deltas: deltas.subarray(from * width, to * width) }
        // Of this owner's pieces the next push's take the place: one push is answered before the next begins.
        return [`${o.life}.${from}`, bytesOf(packPushNote({ ...some, ...rest }))]
      })
    },
    async add({ of, piece, locals, heads, words: deltas }) {
      const shape = o.shapes.parity
      const { words } = shape
      const stale: number[] = []
      await inPieces(locals.length, words, async (from, to) => {
        const { keys, places, view } = locate(shape, locals, { from, to, before: 4, words: 5 })
        for (let i = from; i < to; i++) {
          const at = (i - from) * 5
          view[at + 2] = heads[i * 3]! * 4 + 1
          view[at + 3] = heads[i * 3 + 1]!
          view[at + 4] = heads[i * 3 + 2]!
        }
        const content = bytesOf(deltas.subarray(from * words, to * words))
        const scratch = [`${own}:scratch:0`, `${own}:scratch:1`]
        const note = bytesOf(packParityNote({ ...of, locals: of.locals.slice(from, to) }))
        const answer = await call(scripts.addDifferences, [fenceKey, tagsKey, ...scratch, ...keys], () => [
          words * 4,
          places,
          content,
          `${o.life}.${of.server}.${piece}.${from}`,
          note,
        ])
        for (let at = 0; at < answer.length; at += 4) stale.push(from + answer.readUInt32LE(at))
      })
      return stale
    },
    pushNotes: async () => (await notes(pushesKey)).map(unpackPushNote),
    parityNotes: async () => (await notes(tagsKey)).map(unpackParityNote),
    async forgetPushNotes() {
      await call(scripts.forgetNotes, [fenceKey, pushesKey], () => [0, o.life, ''])
    },
    async forgetParityNotes(server) {
      await call(scripts.forgetNotes, [fenceKey, tagsKey], () => [0, o.life, server])
    },
    async markWhole() {
      await call(scripts.markWhole, [fenceKey, wholeKey], () => [0])
      whole = true
    },
    async ping() {
      await perform((client) => client.ping())
    },
    async cpuSeconds() {
      const facts = await perform((client) => client.info('cpu'))
      const of = (name: string): number => Number(new RegExp(`^${name}:(\\S+)`, 'm').exec(facts)?.[1] ?? 0)
      return of('used_cpu_user') + of('used_cpu_sys')
    },
    async erase({ owner }) {
      const { client } = node
      const keys = [o.shapes.data, o.shapes.parity].flatMap((shape) =>
        Array.from({ length: shape.blocks }, (_, block) => blockKey(shape, block)),
      )
      await client.unlink(fenceKey, wholeKey, pushesKey, tagsKey, ...keys)
      if (owner) await script(client, scripts.releaseNode, [`${prefix}owner`], [ownerOf(o.run)])
    },
    drop() {
      dropped = true
      node.drop()
    },
  }

  /** Runs a script with the fence of the moment. */
  const call = (
    text: string,
    keys: readonly string[],
    args: () => readonly (string | number | Buffer)[],
  ): Promise<Buffer> => perform((client) => script(client, text, keys, [fence, ...args()]))

  async function writePieces(
    { shape, locals, records }: { shape: Shape; locals: ArrayLike<number>; records: Uint32Array },
    note: (from: number, to: number) => readonly (string | Buffer)[],
  ): Promise<void> {
    const { words } = shape
    await inPieces(locals.length, words, async (from, to) => {
      const { keys, places } = locate(shape, locals, { from, to, before: 2, words: 2 })
      const content = bytesOf(records.subarray(from * words, to * words))
      const noted = note(from, to)
      await call(scripts.writeRecords, [fenceKey, pushesKey, ...keys], () => [words * 4, places, content, ...noted])
    })
  }

  /** Texts of a hash, as words of their own. */
  async function notes(key: string): Promise<Uint32Array[]> {
    const list = (await call(scripts.readNotes, [fenceKey, key], () => [0])) as unknown as Buffer[]
    return list.filter((_, i) => i % 2 === 1).map((text) => new Uint32Array(new Uint8Array(text).buffer))
  }

  async function perform<T>(act: (client: Redis) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const on = linking === undefined ? node : await linking
      try {
        if (dropped) throw gone(undefined)
        const answer = await act(on.client)
        part.silent = 0
        return answer
      } catch (cause) {
        const said = (cause as Error).name === 'ReplyError'
        if (said || dropped || attempt > 0) throw giveUp(cause)
        if (on === node && linking === undefined) linking = relink()
      }
    }
  }

  /** The connection broke: the same node may still hold the same rows. What the old connection still carries must not count. */
  async function relink(): Promise<RedisNode> {
    try {
      node.drop()
      const next = await connectNode(o)
      if (dropped) next.drop()
      node = next
      if (next.runId !== first.runId || next.tag !== first.tag)
        throw new FtError('IO', `openShards: ${nameOf(o.address)} was started anew; its rows are rebuilt`, {})
      const renewed = `${ground}${o.life} ${++links}`
      await script(next.client, scripts.renewFence, [fenceKey], [fence, renewed])
      fence = renewed
      return next
    } catch (cause) {
      throw giveUp(cause)
    } finally {
      linking = undefined
    }
  }

  function giveUp(cause: unknown): Error {
    if (!dropped) {
      part.drop()
      o.lost(cause)
    }
    return gone(cause)
  }
  const gone = (cause: unknown): Error =>
    new FtError('IO', `openShards: the part of server ${o.server} on ${nameOf(o.address)} is lost`, {}, { cause })

  function locate(
    { rowsABlock, words, ...shape }: Shape,
    locals: ArrayLike<number>,
    { from, to, before, words: stride }: { from: number; to: number; before: number; words: number },
  ): { keys: string[]; places: Buffer; view: Uint32Array } {
    const keys: string[] = []
    const known = new Map<number, number>()
    const view = new Uint32Array((to - from) * stride)
    for (let i = from; i < to; i++) {
      const block = Math.floor(locals[i]! / rowsABlock)
      let key = known.get(block)
      if (key === undefined) {
        keys.push(blockKey({ rowsABlock, words, ...shape }, block))
        known.set(block, (key = before + keys.length))
      }
      const at = (i - from) * stride
      view[at] = key
      view[at + 1] = (locals[i]! - block * rowsABlock) * words * 4
    }
    return { keys, places: Buffer.from(view.buffer), view }
  }

  /** A script of a node that no heartbeat watches yet: one that stops now is not waited for for ever. */
  const early: (
    text: string,
    keys: readonly string[],
    args: readonly (string | number | Buffer)[],
  ) => Promise<Buffer> = async (...said) => {
    const late = setTimeout(() => first.drop(), Math.max(slowest, o.timeout))
    try {
      return await script(first.client, ...said)
    } finally {
      clearTimeout(late)
    }
  }

  try {
    const owner = `${prefix}owner`
    if (o.adopt) {
      const args = [ownerOf(o.run), ground, fence, o.life]
      whole = String(await early(scripts.adoptPart, [owner, fenceKey, wholeKey], args)) === '1'
      return part
    }
    const taken = [owner, fenceKey, wholeKey, pushesKey, tagsKey]
    await early(scripts.takeNode, taken, [o.run.number, o.run.id, fence, o.epoch, o.life])
    for (const shape of [o.shapes.data, o.shapes.parity])
      for (let block = 0; block < shape.blocks; block += blocksACall) {
        const some = Array.from({ length: Math.min(blocksACall, shape.blocks - block) }, (_, i) => block + i)
        const keys = some.map((one) => blockKey(shape, one))
        const sizes = some.map((one) => bytesOfBlock(shape, one))
        await early(scripts.allocateBlocks, [fenceKey, ...keys], [fence, ...sizes])
      }
    // Rows that were never updated are right as zeros.
    if (whole) await early(scripts.markWhole, [fenceKey, wholeKey], [fence, 0])
    return part
  } catch (error) {
    part.drop()
    throw error
  }
}

const bytesOf = (words: Uint32Array): Buffer => Buffer.from(words.buffer, words.byteOffset, words.byteLength)

async function inPieces(rows: number, words: number, work: (from: number, to: number) => Promise<void>): Promise<void> {
  const some = Math.max(1, Math.min(rowsACall, Math.floor(bytesACall / (words * 4))))
  const all: Promise<void>[] = []
  for (let from = 0; from < rows; from += some) all.push(work(from, Math.min(rows, from + some)))
  await Promise.all(all)
}
