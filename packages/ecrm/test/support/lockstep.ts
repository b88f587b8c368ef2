// Production shards whose messages a test passes on one by one: for schedules written out, where chance would take long.
import type { Message } from '../../src/shard/messages.ts'
import { createShard, type Shard } from '../../src/shard/shard.ts'
import { resolveSpec, type ResolvedSpec, type ShardSpec } from '../../src/shard/spec.ts'

export interface Said {
  readonly from: number
  readonly life: number
  readonly to: number
  readonly message: Message
}

export interface Lockstep {
  readonly spec: ResolvedSpec
  readonly shards: Shard[]
  /** Said and not yet passed on, oldest first. Tests may take some away. */
  said: Said[]
  /** Hands one message to whoever lives there now; what is said to workers is kept in `answers`. */
  pass(one: Said): void
  /** Passes on all that `wanted` accepts, and what follows from it, in order. */
  run(wanted?: (one: Said) => boolean): void
  /** Ends a server; nobody is told. */
  crash(server: number): void
  /** Tells everybody of everybody's present life. */
  announce(to?: readonly number[]): void
  push(server: number, id: number, rows: readonly number[]): void
  readonly answers: Message[]
  /** Recovers until nothing is missing; false when it never is. */
  recover(): boolean
}

export function lockstep(partial: Partial<ShardSpec>, { fast = false } = {}): Lockstep {
  const spec = resolveSpec({
    k: 2,
    r: 1,
    servers: 3,
    d: 1,
    ranges: [{ rows: 12, scale: 1 }],
    optimizer: { name: 'sgd', learningRate: 1 },
    seed: 1,
    acknowledgement: 'sync',
    logBytes: 1 << 20,
    ...partial,
  })
  const { servers } = spec.layout
  const lives = new Array<number>(servers).fill(1)
  const start = (server: number, lost: boolean): Shard => {
    const life = lives[server]!
    const send = (to: number, message: Message): void => {
      if (lives[server] === life) self.said.push({ from: server, life, to, message })
    }
    return createShard({ spec, server, incarnation: life, lost, fast, send })
  }
  const self: Lockstep = {
    spec,
    shards: [],
    said: [],
    answers: [],
    pass({ from, life, to, message }) {
      if (to < servers) self.shards[to]!.receive({ node: from, incarnation: life }, message)
      else self.answers.push(message)
    },
    run(wanted = () => true) {
      for (;;) {
        const at = self.said.findIndex(wanted)
        if (at < 0) return
        self.pass(self.said.splice(at, 1)[0]!)
      }
    },
    crash(server) {
      lives[server]!++
      self.shards[server] = start(server, true)
    },
    announce(to = lives.map((_, server) => server)) {
      const message: Message = {
        type: 'members',
        incarnations: Uint32Array.from(lives),
        addresses: new Uint32Array(0),
      }
      for (const server of to) self.pass({ from: servers, life: 1, to: server, message })
    },
    push(server, id, rows) {
      const gradients = new Uint32Array(new Float32Array(rows.length * spec.d).fill(1).buffer)
      const message: Message = {
        type: 'push',
        id,
        readsNext: 0,
        pushesNext: 0,
        rows: Uint32Array.from(rows),
        gradients,
      }
      self.pass({ from: servers, life: 1, to: server, message })
    },
    recover() {
      for (let round = 0; round < 100; round++) {
        for (let event = 0; event < 10_000 && self.said.length > 0; event++) self.pass(self.said.shift()!)
        if (self.shards.every(({ storage }) => storage.missing === 0)) return true
        for (const shard of self.shards) shard.step(64)
      }
      return false
    },
  }
  lives.forEach((_, server) => (self.shards[server] = start(server, false)))
  return self
}
