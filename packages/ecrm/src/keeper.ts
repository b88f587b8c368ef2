// What a trainer must have again when it dies, at r + 1 servers: as many may be lost as of rows. A version goes there whole, in
// pieces, and counts at a server when its last piece is there (shard/keeping.ts); a server that is replaced gets the latest again.
//
// With the push that follows on it a version is written ahead: until every one of those servers has it nothing of that push is
// sent, so that whoever reads the newest version back can say the push once more, and has rows and version of the same step.
import { FtError } from '@ft/core'
import type { Generation } from './generation.ts'
import { packVersion, unpackVersion, type KeptVersion } from './keptVersion.ts'
import type { MessageOf } from './shard/messages.ts'

export interface Keeper {
  /** Resolves when every server that keeps versions has this one. The arrays are read before it returns. */
  keep(version: KeptVersion): Promise<void>
  /** The newest version that any of them has whole; its push has then been applied once. Undefined when there is none. */
  kept(): Promise<KeptVersion | undefined>
  /** Resolves when servers that were replaced have the latest version. */
  settled(): Promise<unknown>
  /**
   * The run was another trainer's: its latest version is brought to where it belongs, and the push of it is applied.
   *
   * @param latestPush - of that trainer's that any server knows
   */
  takeUp(latestPush: number): Promise<void>
  /** Rows have moved to other servers, and all pushes were answered: the latest version follows them. */
  moved(to: Generation): Promise<void>
}

/** About the bytes of a piece: none keeps a server from answering others for long. */
const pieceBytes = 2 ** 20

/** More pushes than a trainer sends to one server while another hears of none; 200 trainers of a run have enough numbers. */
const spareNumbers = 2 ** 24

interface Latest {
  readonly version: number
  readonly words: Uint32Array
}

/** @param first - the servers */
export function createKeeper(first: Generation): Keeper {
  let generation = first
  let latest: Latest = { version: 0, words: new Uint32Array(0) }
  /** Each server's last gift: they follow each other. */
  let tails: Promise<unknown>[] = []
  let stop = listen()

  const holders = (): number[] => Array.from({ length: generation.spec.layout.r + 1 }, (_, server) => server)

  function listen(): () => void {
    return generation.onRenewed((server) => {
      if (latest.version > 0 && holders().includes(server)) give(server).catch(() => undefined)
    })
  }

  /** Gives a server the latest version, after what it was given before. */
  function give(server: number): Promise<void> {
    const gift = (tails[server] ?? Promise.resolve()).then(() => send(server))
    tails[server] = gift.catch(() => undefined)
    return gift
  }

  async function send(server: number): Promise<void> {
    const { version, words } = latest
    const { client } = generation
    const most = pieceBytes / 4
    for (let whole = 0; whole < version;) {
      const pieces: Promise<MessageOf<'kept'>>[] = []
      for (let at = 0; at < words.length; at += most) {
        const piece = { version, at, total: words.length, words: words.subarray(at, at + most) }
        pieces.push(client.ask(server, { type: 'keep', id: 0, ...piece }) as Promise<MessageOf<'kept'>>)
      }
      // One that was replaced meanwhile lacks the pieces that its earlier life took: it gets all again.
      whole = Math.max(...(await Promise.all(pieces)).map((answer) => answer.version))
    }
  }

  async function recall(server: number): Promise<Latest> {
    const { client } = generation
    const most = pieceBytes / 4
    const ask = (at: number) =>
      client.ask(server, { type: 'recall', id: 0, at, most }) as Promise<MessageOf<'recalled'>>
    for (;;) {
      const { version, total, words } = await ask(0)
      const whole = new Uint32Array(total)
      whole.set(words)
      let same = true
      for (let at = most; at < total && same; at += most) {
        const next = await ask(at)
        same = next.version === version
        if (same) whole.set(next.words, at)
      }
      if (same) return { version, words: whole }
    }
  }

  const everywhere = (): Promise<unknown> => Promise.all(holders().map(give))

  const keeper: Keeper = {
    async keep(version) {
      const { client, spec } = generation
      if (version.push !== undefined) checkPush(generation, version.push.ids)
      const words = packVersion(version, spec.d, client.numbers)
      latest = { version: latest.version + 1, words }
      await everywhere()
    },
    async kept() {
      await Promise.all(tails)
      const found = await Promise.all(holders().map(recall))
      for (const one of found.toSorted((a, b) => b.version - a.version)) {
        if (one.version === 0) continue
        const version = unpackVersion(one.words, generation.spec.d)
        // Bits can change in one server's memory: another has the same version, or the one before.
        if (version === undefined) continue
        // A number that no server has seen: of versions with the same one, one could be older.
        latest = { version: Math.max(latest.version, ...found.map((other) => other.version)) + 1, words: one.words }
        await everywhere()
        const { push, numbers } = version
        if (push !== undefined) await generation.client.repeat(numbers, push.ids, push.gradients)
        return version
      }
      return undefined
    },
    settled: () => Promise.all(tails),
    async takeUp(latestPush) {
      await keeper.kept()
      const { client } = generation
      // Servers know pushes by their numbers: none may come twice, also of those that a dead server alone had heard of.
      client.continueFrom(client.numbers.map((number) => Math.max(number, latestPush) + spareNumbers))
    },
    async moved(to) {
      stop()
      await Promise.all(tails)
      generation = to
      tails = []
      stop = listen()
      if (latest.version === 0) return
      const version = unpackVersion(latest.words, to.spec.d)!
      const { push: _, ...rest } = version
      latest = { version: 1, words: packVersion(rest, to.spec.d, to.client.numbers) }
      await everywhere()
    },
  }
  return keeper
}

/**
 * Servers know of a worker's latest pushes alone whether they have them: of one in several messages the first could count twice.
 *
 * @throws FtError `UNSUPPORTED`
 */
function checkPush({ spec }: Generation, ids: Uint32Array): void {
  const { layout, rowsAMessage } = spec
  if (ids.length <= rowsAMessage) return
  const counts = new Uint32Array(layout.servers)
  for (const id of ids) counts[layout.serverOf(layout.placeOf(id))]!++
  if (counts.every((count) => count <= rowsAMessage)) return
  throw new FtError(
    'UNSUPPORTED',
    `keep: a push of more than ${rowsAMessage} rows of a server cannot be kept; take smaller batches, or keep versions without pushes (\`replicateEvery\` above 1)`,
    { rowsAMessage },
  )
}
