// A worker's side: ids become rows of servers, answers become promises, and what a dead server left unanswered is said
// again to its replacement. A push counts once however often it is said.
import { FtError } from '@ft/core'
import { allFinite } from './shard/finite.ts'
import type { Message, MessageOf, Send } from './shard/messages.ts'
import { roomFor } from './shard/room.ts'
import type { ResolvedSpec } from './shard/spec.ts'
import { mostUnderWay } from './shard/tags.ts'
import { allBelow, copyWords, wordsOf } from './shard/words.ts'
import { assertArray } from './typedArrays.ts'

export interface ClientOptions {
  readonly spec: ResolvedSpec
  readonly send: Send
  /** Updates to a server that may be unanswered at once; default two, the most that shards can tell apart when they are said again. */
  readonly underWay?: number
}

export interface PushOptions {
  /**
   * The caller reads next, before it waits for this push: servers answer that first and tell parity afterwards, while the caller
   * is busy with what it read. Default false.
   */
  readonly readsNext?: boolean
  /**
   * The caller pushes once more, too, before it waits for this push: parities then answer it together with what they say next to the
   * same server, and by themselves after 50 ms. Default false.
   */
  readonly pushesNext?: boolean
}

/** Rows, as whoever trains on them sees them. */
export interface RowAccess {
  /**
   * Values of rows, `[ids.length, d]`.
   *
   * @param into - where they go, of no use when it rejects; left out: a new array
   */
  pull(ids: Uint32Array, into?: Float32Array): Promise<Float32Array>
  /** Gradients of rows, `[ids.length, d]`; resolves when every server has answered. */
  push(ids: Uint32Array, gradients: Float32Array, options?: PushOptions): Promise<void>
}

export interface Client extends RowAccess {
  /** Tells servers that `wanted` accepts which of their rows are read next: lost ones are decoded meanwhile. A hint alone. */
  expect(ids: Uint32Array, wanted: (server: number) => boolean): void
  /** The latest push to each server, by the numbers that pushes have. */
  readonly numbers: readonly number[]
  /** Of an earlier life of this client: later pushes have greater numbers. */
  continueFrom(numbers: readonly number[]): void
  /**
   * Says once more a push that was said, or was about to be, when `numbers` were the latest: where it was applied it is not
   * applied again, and what this client has said itself is not said again.
   */
  repeat(numbers: readonly number[], ids: Uint32Array, gradients: Float32Array): Promise<void>
  /** Makes rows these: `[ids.length, width]` bits of values and state, and a least version of each. */
  write(ids: Uint32Array, words: Uint32Array, versions: Uint32Array): Promise<void>
  /** Asks one server something that has an `id` and one answer. */
  ask(server: number, question: Question): Promise<Message>
  receive(server: number, message: Message): void
  /** A server was replaced: everything unanswered is sent to the new one. */
  renewed(server: number): void
  /** Rejects everything unanswered, now and later. */
  fail(error: FtError): void
}

type Question = MessageOf<'snapshot' | 'status' | 'read' | 'mend' | 'flip' | 'keep' | 'recall'>
type Update = MessageOf<'push' | 'write'>
type Request = MessageOf<'pull'> | Update | Question

interface Waiting {
  readonly request: Request
  resolve(answer: Message): void
  reject(error: Error): void
}

const isUpdate = ({ type }: Request): boolean => type === 'push' || type === 'write'

const answers = new Set(['rows', 'rowBits', 'counts', 'stripes', 'kept', 'recalled'])

const refused = (server: number, { type, id }: Request): FtError =>
  new FtError(
    'INVALID_ARGUMENT',
    `${type}: server ${server} refused values that are not finite and applied none of them`,
    {
      server,
      id,
    },
  )

/** One server's share of ids, or a part of it where it is too large for a message. */
interface Share {
  readonly server: number
  /** Where each stands in the caller's list. */
  readonly at: Uint32Array
  /** Arrays of the message to that server; the first has the rows' numbers there. */
  readonly room: readonly Uint32Array[]
  /** Whether no other message of the call goes to that server after this one. */
  readonly last: boolean
}

interface Located {
  readonly ids: Uint32Array
  readonly servers: Uint16Array
  readonly locals: Uint32Array
}

/** @throws FtError `INVALID_ARGUMENT`, `SHAPE_MISMATCH` */
export function checkPull(ids: Uint32Array, into: Float32Array | undefined, d: number): void {
  assertArray(ids, 'Uint32Array', { where: 'pull', argument: 'ids' })
  if (into === undefined) return
  assertArray(into, 'Float32Array', { where: 'pull', argument: 'into' })
  const [expected, got] = [ids.length * d, into.length]
  if (got === expected) return
  throw new FtError('SHAPE_MISMATCH', `pull: \`into\` must have ${expected} values, got ${got}`, { expected, got })
}

/** @throws FtError `INVALID_ARGUMENT` */
export function checkPush(ids: unknown, gradients: unknown): void {
  assertArray(ids, 'Uint32Array', { where: 'push', argument: 'ids' })
  assertArray(gradients, 'Float32Array', { where: 'push', argument: 'gradients' })
}

/** @throws FtError `INVALID_ARGUMENT` for ids out of range */
export function checkIds(ids: Uint32Array, rows: number, type: string): void {
  if (allBelow(ids, rows)) return
  const at = ids.findIndex((id) => id >= rows)
  throw new FtError('INVALID_ARGUMENT', `${type}: \`ids\` must be below ${rows}, got ${ids[at]} at ${at}`, {
    id: ids[at],
    at,
  })
}

/** @throws FtError `SHAPE_MISMATCH`, `INVALID_ARGUMENT` for a gradient that is not finite */
function checkGradients(ids: Uint32Array, gradients: Float32Array, d: number): void {
  if (gradients.length !== ids.length * d) {
    const expected = ids.length * d
    throw new FtError(
      'SHAPE_MISMATCH',
      `push: \`gradients\` must have ${ids.length} x ${d} values, got ${gradients.length}`,
      { expected, got: gradients.length },
    )
  }
  if (!allFinite(gradients)) {
    const bad = gradients.findIndex((value) => !Number.isFinite(value))
    throw new FtError(
      'INVALID_ARGUMENT',
      `push: \`gradients\` must be finite, got ${gradients[bad]} for id ${ids[Math.floor(bad / d)]}; nothing was applied`,
      { id: ids[Math.floor(bad / d)] },
    )
  }
}

/** @throws FtError as `push` of a store */
export function checkUpdate(ids: Uint32Array, gradients: Float32Array, { d, rows }: { d: number; rows: number }): void {
  checkIds(ids, rows, 'push')
  checkGradients(ids, gradients, d)
}

export function createClient({ spec, send, underWay = mostUnderWay }: ClientOptions): Client {
  const { layout, d, width, rowsAMessage: most } = spec
  /** Unanswered questions of each server, oldest first. */
  const waiting = Array.from({ length: layout.servers }, () => new Map<number, Waiting>())
  /** Updates of each server that wait for those before, and pulls that come after them. */
  const lines = Array.from({ length: layout.servers }, () => [] as Waiting[])
  /** Unanswered updates of each server, oldest first. */
  const updating = Array.from({ length: layout.servers }, () => [] as Waiting[])
  const counters = { question: 0, push: new Array<number>(layout.servers).fill(0) }
  let failure: FtError | undefined
  let located: Located = { ids: new Uint32Array(0), servers: new Uint16Array(0), locals: new Uint32Array(0) }

  /** Where ids are. Most often those of the call before: a push of the rows that were pulled. */
  function locate(ids: Uint32Array): Located {
    if (located.ids.length !== ids.length || ids.some((id, i) => id !== located.ids[i])) located = locateAnew(ids)
    return located
  }

  function locateAnew(ids: Uint32Array): Located {
    const out = { ids: ids.slice(), servers: new Uint16Array(ids.length), locals: new Uint32Array(ids.length) }
    layout.locate(ids, out)
    return out
  }

  /** @param lengths - words a row of each array of the message */
  function split(ids: Uint32Array, type: 'pull' | 'push' | 'write', lengths: readonly number[]): Share[] {
    checkIds(ids, layout.rows, type)
    const { servers, locals } = locate(ids)
    const counts = new Uint32Array(layout.servers)
    for (let i = 0; i < ids.length; i++) counts[servers[i]!]!++
    const shares: Share[] = []
    /** Where each server's first is among them, and then the one that is being filled. */
    const filling = new Uint32Array(layout.servers)
    counts.forEach((count, server) => {
      filling[server] = shares.length
      for (let left = count; left > 0; left -= most) {
        const size = Math.min(left, most)
        const room = roomFor(type, [size, ...lengths.map((words) => words * size)])
        shares.push({ server, at: new Uint32Array(size), room, last: left <= most })
      }
    })
    counts.fill(0)
    for (let i = 0; i < ids.length; i++) {
      const server = servers[i]!
      if (counts[server] === most) {
        filling[server]!++
        counts[server] = 0
      }
      const { at, room } = shares[filling[server]!]!
      const place = counts[server]!++
      at[place] = i
      room[0]![place] = locals[i]!
    }
    return shares
  }

  /** @param take - gets the answer when it comes: its arrays may be gone when the promise's turn is */
  function request<T extends Message>(server: number, message: Request, take?: (answer: T) => void): Promise<T> {
    if (failure !== undefined) return Promise.reject(failure)
    return new Promise<Message>((resolve, reject) => {
      const taken = (answer: Message): void => {
        take?.(answer as T)
        resolve(answer)
      }
      const one = { request: message, resolve: taken, reject }
      // Whoever reads sees what it wrote before: a pull does not pass an update that has not left.
      if (isUpdate(message) || (message.type === 'pull' && lines[server]!.length > 0)) {
        lines[server]!.push(one)
        advance(server)
        return
      }
      say(server, one)
    }) as Promise<T>
  }

  /** Whether an update must wait: servers forget what they know of the one that is `underWay` before it. */
  const tooEarly = (server: number, { id }: Request): boolean => {
    const [oldest] = updating[server]!
    return oldest !== undefined && id - oldest.request.id >= underWay
  }

  /** Sends what stands first in a server's line, as far as it need not wait. */
  function advance(server: number): void {
    const line = lines[server]!
    while (line.length > 0 && !(isUpdate(line[0]!.request) && tooEarly(server, line[0]!.request))) {
      say(server, line.shift()!)
    }
  }

  /** What cannot be sent fails alone: nobody would ever answer it. */
  function say(server: number, one: Waiting): void {
    const { request: message } = one
    try {
      if (isUpdate(message)) updating[server]!.push(one)
      else waiting[server]!.set(message.id, one)
      send(server, message)
    } catch (error) {
      if (isUpdate(message)) updating[server]!.pop()
      else waiting[server]!.delete(message.id)
      one.reject(error as Error)
    }
  }

  /** @param numbers - of each server's latest push before this one; counted on */
  async function pushShares(
    ids: Uint32Array,
    gradients: Float32Array,
    { readsNext, pushesNext, numbers }: { readsNext: boolean; pushesNext: boolean; numbers: number[] },
  ): Promise<void> {
    const bits = new Uint32Array(gradients.buffer, gradients.byteOffset, gradients.length)
    await Promise.all(
      split(ids, 'push', [d]).map(async ({ server, at, room, last }) => {
        const id = ++numbers[server]!
        if (numbers !== counters.push) {
          if (id <= counters.push[server]!) return
          counters.push[server] = id
        }
        const [rows, share] = room as [Uint32Array, Uint32Array]
        for (let i = 0; i < at.length; i++) copyWords(share, i * d, bits, at[i]! * d, d)
        const next = { readsNext: Number(readsNext && last), pushesNext: Number(pushesNext) }
        await request(server, { type: 'push', id, ...next, rows, gradients: share })
      }),
    )
  }

  return {
    async pull(ids, into) {
      checkPull(ids, into, d)
      const out = into ?? new Float32Array(ids.length * d)
      const bits = wordsOf(out)
      await Promise.all(
        split(ids, 'pull', []).map(({ server, at, room }) => {
          const question = { type: 'pull', id: counters.question++, rows: room[0]! } as const
          return request<MessageOf<'rows'>>(server, question, ({ values }) => {
            for (let i = 0; i < at.length; i++) copyWords(bits, at[i]! * d, values, i * d, d)
          })
        }),
      )
      return out
    },
    expect(ids, wanted) {
      checkIds(ids, layout.rows, 'expect')
      // Between a pull and the push of its rows: what is known of these stays.
      const { servers, locals } = locateAnew(ids)
      for (let server = 0; server < layout.servers && failure === undefined; server++) {
        if (!wanted(server)) continue
        const rows = locals.filter((_, i) => servers[i] === server)
        for (let at = 0; at < rows.length; at += most) send(server, { type: 'expect', rows: rows.slice(at, at + most) })
      }
    },
    async push(ids, gradients, { readsNext = false, pushesNext = false } = {}) {
      checkPush(ids, gradients)
      checkGradients(ids, gradients, d)
      await pushShares(ids, gradients, { readsNext, pushesNext, numbers: counters.push })
    },
    get numbers() {
      return counters.push.slice()
    },
    continueFrom(numbers) {
      numbers.forEach((number, server) => (counters.push[server] = Math.max(counters.push[server]!, number)))
    },
    repeat: (numbers, ids, gradients) =>
      pushShares(ids, gradients, { readsNext: false, pushesNext: false, numbers: numbers.slice() }),
    async write(ids, words, versions) {
      await Promise.all(
        split(ids, 'write', [width, 1]).map(async ({ server, at, room }) => {
          const [rows, share, least] = room as [Uint32Array, Uint32Array, Uint32Array]
          for (let i = 0; i < at.length; i++) {
            copyWords(share, i * width, words, at[i]! * width, width)
            least[i] = versions[at[i]!]!
          }
          await request(server, { type: 'write', id: ++counters.push[server]!, rows, words: share, versions: least })
        }),
      )
    },
    ask: (server, question) => request(server, { ...question, id: counters.question++ }),
    receive(server, message) {
      if (message.type === 'pushed') {
        const at = updating[server]!.findIndex(({ request: { id } }) => id === message.id)
        if (at < 0) return
        const [one] = updating[server]!.splice(at, 1) as [Waiting]
        if (message.rejected === 0) one.resolve(message)
        else one.reject(refused(server, one.request))
        advance(server)
      } else if (answers.has(message.type)) {
        if (!('id' in message)) return
        const one = waiting[server]!.get(message.id)
        waiting[server]!.delete(message.id)
        one?.resolve(message)
      }
    },
    renewed(server) {
      for (const { request: again } of updating[server]!) send(server, again)
      for (const { request: again } of waiting[server]!.values()) send(server, again)
    },
    fail(error) {
      failure ??= error
      for (let server = 0; server < layout.servers; server++) {
        const all = [...updating[server]!, ...lines[server]!, ...waiting[server]!.values()]
        updating[server]!.length = 0
        lines[server]!.length = 0
        waiting[server]!.clear()
        for (const one of all) one.reject(error)
      }
    },
  }
}
