// An owner begins where a dead one ended: all that the dead one knew is read from the nodes.
import type { Fleet } from './fleet.ts'
import { latestOf, type ParityNote, type PushNote } from './notes.ts'
import type { Owner } from './owner.ts'
import { never } from './records.ts'
import { spoil } from './spoil.ts'

/** Records read at a time. */
const some = 4_096

/**
 * Takes rows over as they are, once every part of the fleet is there or known to be lost, and before anybody is answered.
 *
 * What is known afterwards is what the dead owner knew: versions; which rows contain the latest push of each server, whether they
 * are read from the node or decoded; and which parity rows are of no use. A node whose recovery had not ended begins it again.
 *
 * Cost: every record of every node is read once; of the latest push of each server the differences are sent again.
 */
export async function adoptRows(fleet: Fleet, owners: readonly Owner[]): Promise<void> {
  const { parts, rows } = fleet
  const pushes = new Map<number, PushNote[]>()
  await Promise.all(
    parts.map(async (part, server) => {
      if (part === undefined || !part.whole) return rows[server]!.loseAll()
      try {
        await readVersions(fleet, server)
        pushes.set(server, latestOf(await part.pushNotes()))
      } catch {
        // The node is lost meanwhile, and with it all its rows.
      }
    }),
  )
  const alive = (server: number): boolean => parts[server] !== undefined && pushes.has(server)
  const told: ParityNote[] = []
  for (const [server, part] of parts.entries())
    if (alive(server)) told.push(...(await part!.parityNotes().catch(() => [])))
  await Promise.all(
    owners.map(async (owner, server) => {
      // A row that is decoded contains what its parity does.
      const kept = alive(server) ? pushes.get(server)! : []
      const notes = alive(server) ? kept : latestOf(told.filter((one) => one.server === server))
      const push = notes[0]?.push ?? 0
      await owner.resume({ push, notes: kept, locals: notes.flatMap(({ locals }) => locals) })
    }),
  )
  for (const server of parts.keys()) if (alive(server)) await checkParity(fleet, server).catch(() => undefined)
}

async function readVersions({ spec, shapes, parts, rows }: Fleet, server: number): Promise<void> {
  const { rows: count, words } = shapes.data
  for (let first = 0; first < count; first += some) {
    const locals = Array.from({ length: Math.min(some, count - first) }, (_, i) => first + i)
    const records = await parts[server]!.read(shapes.data, locals)
    for (const local of locals) rows[server]!.versions[local] = records[(local - first) * words + spec.width]!
  }
}

/** Gives up parity rows that do not contain the rows of their stripe as they are, and those that an owner gave up before. */
async function checkParity(fleet: Fleet, server: number): Promise<void> {
  const { spec, shapes, parts, rows } = fleet
  const { layout, k, width } = spec
  const { rows: count, words } = shapes.parity
  for (let first = 0; first < count; first += some) {
    const locals = Array.from({ length: Math.min(some, count - first) }, (_, i) => first + i)
    const records = await parts[server]!.read(shapes.parity, locals)
    const useless = new Set<number>()
    for (const local of locals) {
      const { stripe } = layout.parityPlace(server, local)
      for (let position = 0; position < k; position++) {
        const place = { stripe, position }
        const data = rows[layout.serverOf(place)]!
        const at = layout.localOf(place)
        const contained = records[(local - first) * words + width + position]!
        const fits = data.lost.data[at] === 1 || data.versions[at] === contained
        if (!fits || contained === never) useless.add(local)
      }
    }
    await spoil(fleet, server, [...useless])
  }
}
