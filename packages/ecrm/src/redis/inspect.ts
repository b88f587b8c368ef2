// What an owner shows of its rows, and what scrubbing changes in them.
import { addInitialParity, completeData, type Shape, never } from './records.ts'
import { spoil } from './spoil.ts'
import type { Message, MessageOf } from '../shard/messages.ts'
import type { Fleet } from './fleet.ts'
import { positionIn } from '../layout.ts'

export interface Counts {
  readonly pulledRows: number
  readonly pushedRows: number
  readonly deltaRows: number
  readonly deltaBytes: number
  /** Bytes of differences that parity has not answered, now and at most. */
  readonly waitingBytes: number
  readonly mostBytes: number
  /** Updates whose differences are not yet at every parity. */
  readonly batches: number
}

export interface Inspector {
  receive(message: Message): Promise<void>
}

const mendWords = 3

export function createInspector(o: {
  fleet: Fleet
  server: number
  counts: Counts
  degraded(): void
  send(message: Message): void
}): Inspector {
  const { fleet, server, counts, send } = o
  const { spec, shapes, lock } = fleet
  const { layout, k, r, width } = spec
  const rows = fleet.rows[server]!
  /** Versions at the latest snapshot that asked for it. */
  let marked: Uint32Array | undefined

  async function snapshot({ id, first, count, changed, mark }: MessageOf<'snapshot'>): Promise<void> {
    const end = Math.min(layout.dataRows, first + count)
    const wanted: number[] = []
    const lost = Uint32Array.from(rows.unrecoverable)
    for (let row = first; row < end; row++)
      if (changed === 0 || marked === undefined || rows.versions[row] !== marked[row]) wanted.push(row)
    const empty = new Uint32Array(0)
    if (wanted.length === 0) return send({ type: 'rowBits', id, rows: empty, words: empty, versions: empty, lost })
    const part = fleet.parts[server]
    if (part === undefined) return
    const records = await part.read(shapes.data, wanted)
    completeData(spec, server, wanted, records)
    const words = new Uint32Array(wanted.length * width)
    const versions = new Uint32Array(wanted.length)
    wanted.forEach((_, i) => {
      const at = i * (width + 1)
      words.set(records.subarray(at, at + width), i * width)
      versions[i] = records[at + width]!
    })
    if (mark === 1) {
      marked ??= new Uint32Array(layout.dataRows).fill(never)
      marked.set(versions, first)
    }
    send({ type: 'rowBits', id, rows: Uint32Array.from(wanted), words, versions, lost })
  }

  /** Members of stripes as they are here, for a scrub. */
  async function members({ id, stripes }: MessageOf<'read'>): Promise<void> {
    const part = fleet.parts[server]
    if (part === undefined) return
    const stride = 4 + k
    const places = Array.from(stripes, (stripe) => ({ stripe, position: positionOf(stripe) })).filter(
      ({ position }) => position < k + r,
    )
    const heads = new Uint32Array(places.length * stride)
    const words: Uint32Array[] = []
    const read = async (kind: Shape['kind']): Promise<Map<number, Uint32Array>> => {
      const locals = places
        .filter(({ position }) => position < k === (kind === 'data'))
        .map((place) => layout.localOf(place))
        .filter((local) => rows.lost[kind][local] === 0)
      const records = await part.read(shapes[kind], locals)
      if (kind === 'data') completeData(spec, server, locals, records)
      const size = shapes[kind].words
      return new Map(locals.map((local, i) => [local, records.subarray(i * size, (i + 1) * size)]))
    }
    const found = { data: await read('data'), parity: await read('parity') }
    places.forEach((place, i) => {
      const { stripe, position } = place
      const record = found[position < k ? 'data' : 'parity'].get(layout.localOf(place))
      heads.set([stripe, position, record === undefined ? 0 : 1], i * stride)
      if (record === undefined) return
      const row = record.subarray(0, width)
      if (position < k) heads[i * stride + 3] = record[width]!
      else {
        addInitialParity(spec, { code: fleet.code!, row, stripe, position })
        heads.set(record.subarray(width), i * stride + 4)
      }
      words.push(row)
    })
    const all = new Uint32Array(words.length * width)
    words.forEach((row, i) => all.set(row, i * width))
    const nothing = new Uint32Array(0)
    const rest = { deltaHeads: nothing, deltaWords: nothing, tags: nothing }
    send({ type: 'stripes', id, life: 0, batch: 0, urgent: 0, members: heads, words: all, ...rest })
  }

  const positionOf = (stripe: number): number => positionIn(stripe, server, layout.servers)

  async function mend({ id, heads, words: right }: MessageOf<'mend'>): Promise<void> {
    const part = fleet.parts[server]
    if (part === undefined) return
    const mended = new Uint32Array(heads.length / mendWords)
    for (let i = 0; i < mended.length; i++) {
      const [stripe, position, version] = [heads[i * 3]!, heads[i * 3 + 1]!, heads[i * 3 + 2]!]
      if (stripe >= layout.stripes || positionOf(stripe) !== position) continue
      const local = layout.localOf({ stripe, position })
      if (position >= k) {
        await spoil(fleet, server, [local])
        o.degraded()
      } else if (rows.lost.data[local] === 0 && rows.versions[local] === version) {
        const record = new Uint32Array(width + 1)
        record.set(right.subarray(i * width, (i + 1) * width))
        record[width] = version
        completeData(spec, server, [local], record)
        await part.write(shapes.data, [local], record)
        // Other words at the same version: a checkpoint of what changed must have them all the same.
        if (marked) marked[local] = never
      } else continue
      mended[i] = 1
    }
    send({ type: 'counts', id, values: mended })
  }

  async function flip({ id, stripe, position, word, bit }: MessageOf<'flip'>): Promise<void> {
    const part = fleet.parts[server]
    if (part === undefined) return
    const local = layout.localOf({ stripe, position })
    const kind = position < k ? 'data' : 'parity'
    const record = await part.read(shapes[kind], [local])
    record[word]! ^= 1 << bit
    await part.write(shapes[kind], [local], record)
    send({ type: 'counts', id, values: new Uint32Array(0) })
  }

  async function status({ id }: MessageOf<'status'>): Promise<void> {
    const cpu = (await fleet.parts[server]?.cpuSeconds().catch(() => 0)) ?? 0
    // Until it is noted that no row is missing, another owner would begin again: see adopt.ts.
    const unsure = fleet.parts[server]?.whole === false ? 1 : 0
    const values = [
      Math.max(rows.missing, unsure),
      shapes.data.rows * shapes.data.words * 4,
      shapes.parity.rows * shapes.parity.words * 4,
      counts.pulledRows,
      counts.pushedRows,
      counts.deltaRows,
      counts.deltaBytes,
      counts.waitingBytes,
      counts.mostBytes,
      cpu,
      rows.recovered,
      counts.batches,
    ]
    send({ type: 'counts', id, values: new Uint32Array(new Float64Array(values).buffer) })
  }

  return {
    async receive(message) {
      if (message.type === 'snapshot') await snapshot(message)
      else if (message.type === 'read') await members(message)
      else if (message.type === 'mend') await lock.exclusive(() => mend(message))
      else if (message.type === 'flip') await lock.exclusive(() => flip(message))
      else if (message.type === 'status') await status(message)
    },
  }
}
