// The data side of a shard: an update changes rows, and what changed of them goes to parity: the bits before XOR the bits
// after, of values and optimizer state.
import { createDifferences, nobody, type Differences, type Filling, type Homes } from './differences.ts'
import { writeHead, type MessageOf } from './messages.ts'
import type { Part } from './outbox.ts'
import type { Remedy } from './remedies.ts'
import { nowhere, type RowKernels } from './rowKernels.ts'
import type { Storage } from './storage.ts'
import type { Tags } from './tags.ts'
import { addWords, copyWords } from './words.ts'
import { positionIn } from '../layout.ts'

/** A worker's update: gradients, or rows as they are to be. */
export interface Update {
  readonly worker: number
  readonly message: MessageOf<'push'> | MessageOf<'write'>
}

export interface RowUpdates {
  /** Rows changed so far. */
  readonly count: number
  /**
   * Applies an update to those of its rows that lack it.
   *
   * @param values - the update's numbers as floats
   * @returns the differences, by the peers that have the parity rows
   */
  apply(update: Update, values: Float32Array): Part[]
}

/** Where the difference of a row goes. */
interface Destination {
  readonly stripe: number
  readonly part: Filling | undefined
  readonly differences: Differences | undefined
  /** The push was here before: rows that have it are left. */
  readonly again: boolean
}

export function createRowUpdates(o: {
  storage: Storage
  server: number
  tags: Tags
  without: Remedy | undefined
}): RowUpdates {
  const { storage, server, tags, without } = o
  const { spec, kernels, words, floats, versions } = storage
  const { layout, k, r, d, width } = spec
  const { servers } = layout
  let total = 0

  /** Of each of the rows of a group of stripes that this server has: its stripe in the first group, its position there, and the first parity's server. */
  const inGroup = Array.from({ length: k }, (_, local) => {
    const stripe = layout.dataStripe(server, local)
    return { stripe, position: positionIn(stripe, server, servers), peer: (stripe + k) % servers }
  })

  function homesOf(rows: Uint32Array): Homes {
    const homes = { stripes: new Uint32Array(rows.length), peers: new Uint16Array(rows.length) }
    for (let i = 0; i < rows.length; i++) {
      const group = (rows[i]! / k) >>> 0
      const { stripe, peer } = inGroup[rows[i]! - group * k]!
      homes.stripes[i] = group * servers + stripe
      homes.peers[i] = rows[i]! < layout.firstBare ? peer : nobody
    }
    return homes
  }

  /** Whether the row was changed; its difference is then in the part. A function of its own, as it is called often enough to stay compiled. */
  function applyRow(one: Update, values: Float32Array, i: number, to: Destination): boolean {
    const { worker, message } = one
    const { stripe, part, differences, again } = to
    const local = message.rows[i]!
    const at = local * width
    const { position } = inGroup[local % k]!
    if (again && tags.has(server, { stripe, position, worker, push: message.id })) return false
    const base = versions[local]!
    let version = base + 1
    if (message.type === 'write') {
      if (message.versions[i]! <= base && same(message.words, i, at)) return false
      version = Math.max(version, message.versions[i]!)
    }
    versions[local] = version
    if (part !== undefined) copyWords(part.words, part.rows * width, words, at, width)
    if (message.type === 'push') spec.row.apply(floats, at, values, i * d, d)
    else copyWords(words, at, message.words, i * width, width)
    if (part === undefined) return true
    const place = part.rows++
    addWords(part.words, place * width, words, at, width)
    writeHead(part.heads, place, { stripe, position, base, version, worker, push: message.id })
    differences?.repeat(part, place)
    return true
  }

  /** A push to rows in WebAssembly memory, all of which lack it: by as many rows as the kernel takes. */
  function applyAtOnce(
    { apply, most }: RowKernels,
    push: { worker: number; message: MessageOf<'push'> },
    to: { homes: Homes; differences: Differences | undefined },
  ): void {
    const { rows, gradients } = push.message
    const places = new Uint32Array(most).fill(nowhere)
    for (let from = 0; from < rows.length; from += most) {
      const end = Math.min(from + most, rows.length)
      const some = rows.subarray(from, end)
      const peers = to.homes.peers.subarray(from, end)
      const begins = to.differences === undefined ? undefined : placeByPart(peers, places)
      const made = apply(some, gradients.subarray(from * d, end * d), places.subarray(0, some.length))
      if (to.differences === undefined || begins === undefined) {
        for (let i = 0; i < some.length; i++) versions[some[i]!]!++
        continue
      }
      const { parts, repeat } = to.differences
      /** Where a place is among those of its part. */
      const shifts = parts.map((part, peer) => part.rows - begins[peer]!)
      const stripes = to.homes.stripes.subarray(from, end)
      writeHeads(parts, push, { rows: some, peers, stripes, places, shifts })
      for (const [peer, part] of parts.entries()) {
        part.words.set(made.subarray(begins[peer]! * width, begins[peer + 1]! * width), part.rows * width)
        part.rows += begins[peer + 1]! - begins[peer]!
      }
      if (r === 1) continue
      for (let i = 0; i < some.length; i++)
        if (peers[i] !== nobody) repeat(parts[peers[i]!]!, places[i]! + shifts[peers[i]!]!)
    }
  }

  /** Gives each row with parity a place, those of a part side by side; where each part's begin, and their end. */
  function placeByPart(peers: Uint16Array, places: Uint32Array): Uint32Array {
    const begins = new Uint32Array(servers + 1)
    for (let i = 0; i < peers.length; i++) if (peers[i] !== nobody) begins[peers[i]! + 1]!++
    for (let peer = 0; peer < servers; peer++) begins[peer + 1]! += begins[peer]!
    const next = begins.slice()
    for (let i = 0; i < peers.length; i++) places[i] = peers[i] === nobody ? nowhere : next[peers[i]!]!++
    return begins
  }

  /** Counts the versions of rows on, and writes the heads of their differences. */
  function writeHeads(
    parts: readonly Filling[],
    { worker, message }: { worker: number; message: MessageOf<'push'> },
    of: {
      rows: Uint32Array
      peers: Uint16Array
      stripes: Uint32Array
      places: Uint32Array
      shifts: readonly number[]
    },
  ): void {
    const { rows, peers, stripes, places, shifts } = of
    const push = message.id
    for (let i = 0; i < rows.length; i++) {
      const local = rows[i]!
      const peer = peers[i]!
      const { position } = inGroup[local % k]!
      const base = versions[local]!
      const version = (versions[local] = base + 1)
      if (peer === nobody) continue
      writeHead(parts[peer]!.heads, places[i]! + shifts[peer]!, {
        stripe: stripes[i]!,
        position,
        base,
        version,
        worker,
        push,
      })
    }
  }

  const same = (given: Uint32Array, i: number, at: number): boolean => {
    for (let j = 0; j < width; j++) if (given[i * width + j] !== words[at + j]) return false
    return true
  }

  return {
    get count() {
      return total
    },
    apply(update, values) {
      const { message, worker } = update
      const again = without !== 'tags' && tags.knows(server, { worker, push: message.id })
      const homes = homesOf(message.rows)
      const differences = r > 0 ? createDifferences(spec, homes) : undefined
      if (kernels !== undefined && message.type === 'push' && !again) {
        applyAtOnce(kernels, { worker, message }, { homes, differences })
        total += message.rows.length
      } else {
        for (let i = 0; i < message.rows.length; i++) {
          const part = differences?.parts[homes.peers[i]!]
          if (applyRow(update, values, i, { stripe: homes.stripes[i]!, part, differences, again })) total++
        }
      }
      const filled = differences?.filled() ?? []
      // With r >= 2 the same facts several times: they are a set.
      for (const { heads } of filled) tags.addHeads(server, heads)
      return filled
    },
  }
}
