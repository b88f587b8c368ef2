// Scrubbing: every stripe's parity is computed again from its data rows and compared. Bits that changed in memory are named,
// and with r >= 2 located and put right.
import { createCode, type ErasureCode } from './codes/code.ts'
import type { Client } from './client.ts'
import type { MessageOf } from './shard/messages.ts'
import type { ResolvedSpec } from './shard/spec.ts'
import { positionIn } from './layout.ts'

export interface CorruptStripe {
  readonly stripe: number
  /** Ids of the stripe's rows: one of them or a parity row is wrong. */
  readonly ids: readonly number[]
  /** The position of the wrong row, data first, when the code can tell (r >= 2 and one wrong row). */
  readonly position: number | undefined
  /** The id of the wrong row, when it is a data row that is located. */
  readonly id: number | undefined
  /** Whether it was located and its server took the repair; a parity row is then encoded anew. */
  readonly repaired: boolean
}

/** What is wrong as it was read. */
type Found = CorruptStripe & { readonly version: number; readonly right: Uint32Array | undefined }

export interface ScrubReport {
  readonly stripes: number
  readonly corrupt: readonly CorruptStripe[]
  /** Stripes that could not be compared: updated at every try, or being recovered. Scrub again. */
  readonly skipped: readonly number[]
}

export interface ScrubOptions {
  /** Stripes compared at once; default 1,024. */
  readonly stripes?: number
  /** Puts right what is located (r >= 2), again where a push came between; default false. */
  readonly repair?: boolean
  readonly signal?: AbortSignal
  readonly onProgress?: (progress: { phase: 'scrub'; done: number; total: number }) => void
}

interface Member {
  readonly words: Uint32Array
  readonly version: number
  readonly seen: Uint32Array
}

/** A stripe read while it was updated is read again this often. */
const tries = 20
/** A repair that a push came before is tried again this often: of rows that are pushed without a pause few tries succeed. */
const repairs = 100

/** Compares stripes, and puts right what is located when told to; what is wrong, and what could not be compared. */
export async function scrubStripes(
  spec: ResolvedSpec,
  client: Client,
  { stripes, repair }: { stripes: readonly number[]; repair: boolean },
): Promise<{ corrupt: CorruptStripe[]; skipped: number[] }> {
  const { corrupt, skipped } = await compare(spec, client, stripes)
  const report = new Map<number, Found>(corrupt.map((one) => [one.stripe, one]))
  let left = repair ? corrupt.filter(({ position }) => position !== undefined) : []
  for (let attempt = 0; attempt < repairs && left.length > 0; attempt++) {
    const mended = await mend(spec, client, left)
    for (const one of mended) report.set(one.stripe, { ...one, repaired: true })
    // A push came between the reading and the repair: what is right now differs.
    const moved = left.filter((one) => !mended.has(one)).map(({ stripe }) => stripe)
    left = (await compare(spec, client, moved)).corrupt.filter(({ position }) => position !== undefined)
  }
  return {
    corrupt: Array.from(report.values(), ({ stripe, ids, position, id, repaired }) => {
      return { stripe, ids, position, id, repaired }
    }),
    skipped,
  }
}

/** What is wrong in stripes, and which could not be read at one moment. */
async function compare(
  spec: ResolvedSpec,
  client: Client,
  stripes: readonly number[],
): Promise<{ corrupt: Found[]; skipped: number[] }> {
  const code = createCode(spec)
  const corrupt: Found[] = []
  let left = [...stripes]
  for (let attempt = 0; attempt < tries && left.length > 0; attempt++) {
    const views = await readStripes(spec, client, left)
    const again: number[] = []
    for (const stripe of left) {
      const members = views.get(stripe)!
      if (!fits(spec, members)) {
        again.push(stripe)
        continue
      }
      const verdict = judge(code, members as readonly Member[])
      if (verdict === undefined) continue
      const { position, right } = verdict
      const ids = Array.from({ length: spec.k }, (_, i) => spec.layout.idOf({ stripe, position: i })).filter(
        (id) => id >= 0,
      )
      const located = position !== undefined && position < spec.k ? spec.layout.idOf({ stripe, position }) : -1
      const version = position === undefined ? 0 : members[position]!.version
      corrupt.push({
        stripe,
        ids,
        position,
        id: located < 0 ? undefined : located,
        repaired: false,
        version,
        right,
      })
    }
    left = again
  }
  return { corrupt, skipped: left }
}

/** Has what is located put right; what was. */
async function mend({ layout, width }: ResolvedSpec, client: Client, located: readonly Found[]): Promise<Set<Found>> {
  const mended = new Set<Found>()
  for (let server = 0; server < layout.servers; server++) {
    const own = located.filter(({ stripe, position }) => layout.serverOf({ stripe, position: position! }) === server)
    if (own.length === 0) continue
    const heads = Uint32Array.from(own.flatMap(({ stripe, position, version }) => [stripe, position!, version]))
    const words = new Uint32Array(own.length * width)
    own.forEach(({ right }, i) => right && words.set(right, i * width))
    const { values } = (await client.ask(server, { type: 'mend', id: 0, heads, words })) as MessageOf<'counts'>
    own.forEach((one, i) => values[i] === 1 && mended.add(one))
  }
  return mended
}

async function readStripes(
  { layout, k, r, width }: ResolvedSpec,
  client: Client,
  stripes: readonly number[],
): Promise<Map<number, (Member | undefined)[]>> {
  const views = new Map(stripes.map((stripe) => [stripe, new Array<Member | undefined>(k + r).fill(undefined)]))
  const stride = 4 + k
  await Promise.all(
    Array.from({ length: layout.servers }, async (_, server) => {
      const own = stripes.filter((stripe) => positionIn(stripe, server, layout.servers) < k + r)
      if (own.length === 0) return
      const question = { type: 'read', id: 0, urgent: 0, stripes: Uint32Array.from(own) } as const
      const answer = (await client.ask(server, question)) as MessageOf<'stripes'>
      let row = 0
      for (let at = 0; at < answer.members.length; at += stride) {
        const [stripe, position, usable, version] = answer.members.subarray(at, at + 4)
        if (usable !== 1) continue
        views.get(stripe!)![position!] = {
          words: answer.words.subarray(row * width, ++row * width),
          version: version!,
          seen: answer.members.subarray(at + 4, at + stride),
        }
      }
    }),
  )
  return views
}

/** Whether all rows were read at versions that belong together. */
function fits({ k, r }: ResolvedSpec, members: readonly (Member | undefined)[]): boolean {
  for (let parity = k; parity < k + r; parity++)
    for (let i = 0; i < k; i++)
      if (members[i] === undefined || members[parity]?.seen[i] !== members[i]!.version) return false
  return true
}

/**
 * Which row is wrong. With S_j the sum of parity j and its data rows: one wrong data row i, off by e, gives S_j = f(j, i) e
 * in every parity j; one wrong parity gives one S_j alone.
 */
function judge(
  code: ErasureCode,
  members: readonly Member[],
): { position: number | undefined; right: Uint32Array | undefined } | undefined {
  const { k, r } = code
  const sums = Array.from({ length: r }, (_, parity) => {
    const sum = members[k + parity]!.words.slice()
    for (let i = 0; i < k; i++) code.accumulate(sum, members[i]!.words, { parity, position: i })
    return sum
  })
  const wrong = sums.map((sum) => sum.some((word) => word !== 0))
  if (!wrong.includes(true)) return undefined
  if (r === 1) return { position: undefined, right: undefined }
  const which = wrong.indexOf(true)
  if (wrong.lastIndexOf(true) === which) return { position: k + which, right: undefined }
  if (wrong.includes(false)) return { position: undefined, right: undefined }
  // The first parity's factors are ones: its sum is e.
  const [error, ...others] = sums as [Uint32Array, ...Uint32Array[]]
  for (let i = 0; i < k; i++) {
    const fits = others.every((sum, j) => {
      const rest = sum.slice()
      code.accumulate(rest, error, { parity: j + 1, position: i })
      return rest.every((word) => word === 0)
    })
    if (!fits) continue
    const right = members[i]!.words.slice()
    code.accumulate(right, error, { parity: 0, position: i })
    return { position: i, right }
  }
  return { position: undefined, right: undefined }
}
