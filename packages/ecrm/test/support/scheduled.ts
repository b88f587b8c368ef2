// Production shards and clients over channels that a seeded scheduler empties one message at a time, in any order between
// channels and in order within one. Servers crash between any two events: what they sent may still arrive.
import { createRandom, type Random } from '@ft/core/random'
import { createClient, type Client } from '../../src/client.ts'
import type { Message } from '../../src/shard/messages.ts'
import type { Remedy } from '../../src/shard/remedies.ts'
import { createShard, type Shard } from '../../src/shard/shard.ts'
import { resolveSpec, type ResolvedSpec, type ShardSpec } from '../../src/shard/spec.ts'
import { overtaking } from './interleave.ts'

interface Channel {
  readonly from: { node: number; incarnation: number }
  readonly to: { node: number; incarnation: number }
  readonly messages: Message[]
}

export interface Scheduled {
  readonly spec: ResolvedSpec
  readonly random: Random
  readonly shards: readonly Shard[]
  readonly clients: readonly Client[]
  /** Delivers one message of a channel drawn by chance; false when there is none. */
  deliver(): boolean
  /** Ends a server; its replacement starts empty. Half of what it had sent is cut off, at a place drawn by chance. */
  crash(server: number): void
  /** One step of recovery on every server. */
  step(stripes: number): void
  /** Delivers and recovers until nothing is missing and nothing is under way. */
  settle(): Promise<void>
  /** Lets promises run. */
  turn(): Promise<void>
}

export const defaultSpec: ShardSpec = {
  k: 2,
  r: 1,
  servers: 4,
  d: 3,
  ranges: [{ rows: 12, scale: 1 }],
  optimizer: { name: 'adagrad', learningRate: 0.1 },
  seed: 1,
  acknowledgement: 'sync',
  logBytes: 1 << 20,
}

export function scheduled(
  partial: Partial<ShardSpec>,
  {
    seed,
    workers = 1,
    without,
    fast = false,
  }: { seed: number; workers?: number; without?: Remedy | undefined; fast?: boolean },
): Scheduled {
  const spec = resolveSpec({ ...defaultSpec, ...partial })
  const random = createRandom(seed).stream('schedule')
  const servers = spec.layout.servers
  const incarnations = new Array<number>(servers + workers).fill(1)
  let channels: Channel[] = []

  function enqueue(from: Channel['from'], node: number, message: Message): void {
    // A server that is gone can say nothing more; what is said to one goes to its life of this moment.
    if (from.incarnation !== incarnations[from.node]) return
    const to = { node, incarnation: incarnations[node]! }
    const same = (a: Channel['to'], b: Channel['to']): boolean => a.node === b.node && a.incarnation === b.incarnation
    let channel = channels.find((one) => same(one.from, from) && same(one.to, to))
    if (channel === undefined) channels.push((channel = { from, to, messages: [] }))
    channel.messages.push(message)
  }

  const start = (server: number, lost: boolean): Shard => {
    const from = { node: server, incarnation: incarnations[server]! }
    const send = (to: number, message: Message): void => enqueue(from, to, message)
    return createShard({
      spec,
      server,
      incarnation: from.incarnation,
      lost,
      fast,
      send,
      ...(without ? { without } : {}),
    })
  }
  const shards = Array.from({ length: servers }, (_, server) => start(server, false))
  const clients = Array.from({ length: workers }, (_, w) => {
    const from = { node: servers + w, incarnation: 1 }
    return createClient({ spec, send: (to, message) => enqueue(from, to, message) })
  })

  const self: Scheduled = {
    spec,
    random,
    shards,
    clients,
    deliver() {
      channels = channels.filter((channel) => channel.messages.length > 0)
      if (channels.length === 0) return false
      const { from, to, messages } = random.pick(channels)
      const message = overtaking(messages, random)
      if (incarnations[to.node] !== to.incarnation) return true
      if (to.node < servers) shards[to.node]!.receive(from, message)
      else clients[to.node - servers]!.receive(from.node, message)
      return true
    },
    crash(server) {
      for (const channel of channels) {
        if (channel.from.node !== server || random.bernoulli(0.5)) continue
        channel.messages.length = random.integer(0, channel.messages.length)
      }
      incarnations[server]!++
      shards[server] = start(server, true)
      const members: Message = {
        type: 'members',
        incarnations: Uint32Array.from(incarnations.slice(0, servers)),
        addresses: new Uint32Array(0),
      }
      // The control is a node of its own: its news races with everything else.
      const control = { node: servers, incarnation: 1 }
      for (let peer = 0; peer < servers; peer++) enqueue(control, peer, members)
      for (const client of clients) client.renewed(server)
    },
    step(stripes) {
      for (const shard of shards) shard.step(stripes)
    },
    async settle() {
      for (let round = 0; round < 100_000; round++) {
        while (self.deliver()) continue
        await self.turn()
        const busy = shards.map((shard) => shard.step(8)).some(Boolean)
        if (!busy && channels.every(({ messages }) => messages.length === 0)) return
      }
      throw new Error('the shards did not settle')
    },
    turn: () => new Promise((resolve) => setImmediate(resolve)),
  }
  return self
}

/** Every row's words and version by id. */
export function rowsById({ spec, shards }: Scheduled): { words: Uint32Array; version: number }[] {
  const { layout } = spec
  return Array.from({ length: layout.rows }, (_, id) => {
    const place = layout.placeOf(id)
    const { storage } = shards[layout.serverOf(place)]!
    const local = layout.localOf(place)
    return { words: storage.dataRow(local).slice(), version: storage.versions[local]! }
  })
}

/** Stripes whose parity rows are not the code's of their data rows, or do not know their versions. */
export function brokenStripes({ spec, shards }: Scheduled): number[] {
  const { layout, k, r, width } = spec
  const broken = new Set<number>()
  for (let stripe = 0; stripe < layout.stripes; stripe++) {
    const at = (position: number) => {
      const place = { stripe, position }
      return { storage: shards[layout.serverOf(place)]!.storage, local: layout.localOf(place) }
    }
    for (let parity = 0; parity < r; parity++) {
      const sum = new Uint32Array(width)
      const here = at(k + parity)
      for (let position = 0; position < k; position++) {
        const { storage, local } = at(position)
        storage.code!.accumulate(sum, storage.dataRow(local), { parity, position })
        if (here.storage.seen[here.local * k + position] !== storage.versions[local]) broken.add(stripe)
      }
      if (here.storage.parityRow(here.local).some((word, i) => word !== sum[i])) broken.add(stripe)
    }
  }
  return [...broken]
}
