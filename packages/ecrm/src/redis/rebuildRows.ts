// A step of recovery on Redis nodes: the living rows of stripes are read, the lost ones decoded here and written back. Nobody
// pushes meanwhile, so the versions that are read belong together.
import type { ErasureCode } from '../codes/code.ts'
import { decodeInto, rebuild, type Member, type Rebuilt } from '../shard/rebuild.ts'
import { initialWords } from '../shard/storage.ts'
import type { Fleet } from './fleet.ts'
import { addInitialParity, completeData, type Shape } from './records.ts'
import { spoil } from './spoil.ts'
import { positionIn } from '../layout.ts'

interface LostRow {
  readonly kind: Shape['kind']
  readonly local: number
}

const none = new Uint32Array(0)

/**
 * Rebuilds rows of one server, as far as they can be now. Call it while nobody pushes.
 *
 * @throws FtError when a node is lost meanwhile: what was not marked is still to be done
 */
export async function rebuildRows(fleet: Fleet, server: number, wanted: readonly LostRow[]): Promise<void> {
  const { spec, code, shapes } = fleet
  const { layout, k, r, width } = spec
  const part = fleet.parts[server]
  const own = fleet.rows[server]!
  if (part === undefined || code === undefined) return
  const isBare = ({ kind, local }: LostRow): boolean => kind === 'data' && local >= layout.firstBare
  const lost = wanted.filter(({ kind, local }) => own.lost[kind][local] === 1)
  const bare = lost.filter(isBare).map(({ local }) => local)
  if (bare.length > 0) await startOver(fleet, server, bare)
  const jobs = lost
    .filter((row) => !isBare(row))
    .map(({ kind, local }) => {
      const place = kind === 'data' ? layout.dataPlace(server, local) : layout.parityPlace(server, local)
      return { kind, local, ...place, members: [] as Member[] }
    })
  await Promise.all(
    fleet.parts.map((_, peer) => (peer === server ? Promise.resolve() : readMembers(fleet, peer, jobs))),
  )
  if (fleet.parts[server] !== part) return

  const useless = fleet.rows.map(() => new Set<number>())
  const discard = (stripe: number, position: number): void => {
    const place = { stripe, position }
    useless[layout.serverOf(place)]!.add(layout.localOf(place))
  }
  const done: Record<Shape['kind'], { local: number; record: Uint32Array }[]> = { data: [], parity: [] }
  for (const { kind, local, stripe, position, members } of jobs) {
    const record = new Uint32Array(shapes[kind].words)
    if (kind === 'data') {
      const version = decodeInto(code, { members, deltas: [], tags: [] }, { position, row: record.subarray(0, width) })
      if (version >= 0) record[width] = version
      else {
        const out = decode(code, members, { position, misfit: (parity) => discard(stripe, parity) })
        if (out.kind === 'row') {
          record.set(out.words)
          for (const parity of out.stale) discard(stripe, parity)
        } else if (out.kind === 'unrecoverable') {
          record.set(initialWords(spec, { stripe, position }))
          const id = layout.idOf({ stripe, position })
          if (id >= 0) fleet.gaveUp(server, [id])
          for (let parity = k; parity < k + r; parity++) discard(stripe, parity)
        } else continue
        record[width] = out.version
      }
      completeData(spec, server, [local], record)
      own.versions[local] = record[width]!
    } else {
      const out = rebuild(code, { members, deltas: [], tags: [] }, { position, checkVersions: true })
      if (out.kind !== 'row') continue
      const row = record.subarray(0, width)
      row.set(out.words)
      addInitialParity(spec, { code, row, stripe, position })
      record.set(out.seen, width)
    }
    done[kind].push({ local, record })
  }
  // Before the rows are there that they do not contain. A node that is lost meanwhile has no parity any more.
  for (const [peer, locals] of useless.entries()) await spoil(fleet, peer, [...locals]).catch(() => undefined)
  if (fleet.parts[server] !== part) return
  for (const kind of ['data', 'parity'] as const) {
    const { words } = shapes[kind]
    const records = new Uint32Array(done[kind].length * words)
    done[kind].forEach(({ record }, i) => records.set(record, i * words))
    await part.write(
      shapes[kind],
      done[kind].map(({ local }) => local),
      records,
    )
    if (fleet.parts[server] !== part) return
    for (const { local } of done[kind]) own.restore(kind, local)
  }
  // Whoever owns the nodes next need not begin again.
  if (own.missing === 0 && !part.whole) await part.markWhole()
}

/** Data rows without parity are what the node has: zeros, as they start, unless an owner before took them up already. */
async function startOver(
  { spec, shapes, parts, rows, gaveUp }: Fleet,
  server: number,
  locals: number[],
): Promise<void> {
  const { layout, width } = spec
  const part = parts[server]!
  const records = await part.read(shapes.data, locals)
  if (parts[server] !== part) return
  const versions = locals.map((_, i) => records[i * shapes.data.words + width]!)
  locals.forEach((local, i) => {
    rows[server]!.versions[local] = versions[i]!
    rows[server]!.restore('data', local)
  })
  const over = locals.filter((_, i) => versions[i] === 0).map((local) => layout.idOf(layout.dataPlace(server, local)))
  gaveUp(
    server,
    over.filter((id) => id >= 0),
  )
}

/** Decodes a data row. Parities that do not fit are of no use: nothing that would bring them there is left. */
function decode(
  code: ErasureCode,
  members: readonly Member[],
  { position, misfit }: { position: number; misfit: (position: number) => void },
): Rebuilt {
  const { k } = code
  const living = members.filter((one) => one.position < k && one.words !== undefined)
  const without = (bad: (parity: Member) => boolean): void => {
    left = left.map((one) => {
      if (one.position < k || one.words === undefined || !bad(one)) return one
      misfit(one.position)
      return { ...one, words: undefined }
    })
  }
  let left = [...members]
  const attempt = (): Rebuilt =>
    rebuild(code, { members: left, deltas: [], tags: [] }, { position, checkVersions: true })
  without((parity) => living.some((row) => parity.seen[row.position] !== row.version))
  const out = attempt()
  if (out.kind !== 'again') return out
  // Two rows are lost, and one parity has a later version of one of them.
  const parities = left.filter((one) => one.position >= k && one.words !== undefined)
  without((parity) => parities.some((other) => other.seen.some((version, i) => version > parity.seen[i]!)))
  return attempt()
}

/** Adds one server's rows to the stripes that have one there. */
async function readMembers(
  fleet: Fleet,
  server: number,
  jobs: readonly { readonly stripe: number; readonly members: Member[] }[],
): Promise<void> {
  const { spec, shapes, code } = fleet
  const { layout, k, r, width } = spec
  const wanted: Record<Shape['kind'], { local: number; stripe: number; position: number; members: Member[] }[]> = {
    data: [],
    parity: [],
  }
  for (const { stripe, members } of jobs) {
    const position = positionIn(stripe, server, layout.servers)
    if (position >= k + r) continue
    const local = layout.localOf({ stripe, position })
    const kind = position < k ? 'data' : 'parity'
    const lost = fleet.rows[server]!.lost[kind][local] === 1
    if (lost) members.push({ position, words: undefined, version: 0, seen: none })
    else wanted[kind].push({ local, stripe, position, members })
  }
  const part = fleet.parts[server]
  for (const kind of ['data', 'parity'] as const) {
    const shape = shapes[kind]
    const list = wanted[kind]
    if (list.length === 0) continue
    const locals = list.map(({ local }) => local)
    const records = await part!.read(shape, locals)
    if (kind === 'data') completeData(spec, server, locals, records)
    list.forEach(({ stripe, position, members }, i) => {
      const record = records.subarray(i * shape.words, (i + 1) * shape.words)
      const words = record.subarray(0, width)
      if (kind === 'parity') addInitialParity(spec, { code: code!, row: words, stripe, position })
      members.push({
        position,
        words,
        version: kind === 'data' ? record[width]! : 0,
        seen: kind === 'data' ? none : record.subarray(width),
      })
    })
  }
}
