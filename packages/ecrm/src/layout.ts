// Where rows live: ids are permuted, cut into stripes of k, and each stripe's k + r rows lie on as many servers. Rows without parity
// lie behind them, spread in the same way.
import { assertInteger, FtError } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { largestR } from './codes/code.ts'

export interface LayoutOptions {
  /** All rows: ids 0 .. rows - 1. */
  readonly rows: number
  /** How many of them, the last ids, have no parity; default 0. */
  readonly bare?: number
  /** Data rows a stripe. */
  readonly k: number
  /** Parity rows a stripe. */
  readonly r: number
  /** Servers; at least k + r. */
  readonly servers: number
  /** Of the permutation of ids; default 0. */
  readonly seed?: number
}

/** The stripe of a row and its position in it: 0 .. k - 1 for data, k .. k + r - 1 for parity. */
export interface Place {
  readonly stripe: number
  readonly position: number
}

/**
 * Addresses of data and parity rows.
 *
 * Laws: ids and (stripe, position) are in one-to-one correspondence; the rows of a stripe lie on k + r different servers;
 * over any `servers` consecutive stripes every server has k data and r parity rows. Servers number their data rows and
 * their parity rows 0, 1, 2, ... apart from each other; `local` is that number.
 */
export interface Layout extends Required<LayoutOptions> {
  /** Those with parity: bare rows lie in stripes of a number from there on. */
  readonly stripes: number
  /** Data and parity rows that each server holds, the last stripes' unused places included. */
  readonly dataRows: number
  readonly parityRows: number
  /** Every server's data rows from this number on are bare; `dataRows` where none is. */
  readonly firstBare: number
  placeOf(id: number): Place
  /** The id at a data position, or -1 where the last stripe is not full. */
  idOf(place: Place): number
  serverOf(place: Place): number
  /** The row's number among the data (or parity) rows of its server. */
  localOf(place: Place): number
  /** The place of a server's data row. */
  dataPlace(server: number, local: number): Place
  /** The stripe alone of a server's data row: for loops over many rows. */
  dataStripe(server: number, local: number): number
  /** The same of a server's parity row. */
  parityStripe(server: number, local: number): number
  /** The number alone of a server's parity row in a stripe, -1 where it has none: for loops over many rows. */
  parityLocal(server: number, stripe: number): number
  /** The number alone of whichever row a server has of a stripe, -1 where it has none: for loops over many rows. */
  localIn(server: number, stripe: number): number
  /** Servers of many ids, and their numbers there. */
  locate(ids: Uint32Array, out: { readonly servers: Uint16Array; readonly locals: Uint32Array }): void
  /** The place of a server's parity row. */
  parityPlace(server: number, local: number): Place
}

/** The position in a stripe of the row that server `server` of `servers` has of it; k + r or more where it has none. */
export const positionIn = (stripe: number, server: number, servers: number): number =>
  (((server - stripe) % servers) + servers) % servers

/**
 * Lays out rows over servers.
 *
 * Differs: the published prototype puts position h of the unrolled stripes on server h mod N, which gives one server all
 * the parity when N divides k + r; here stripe q's position p is on server (q + p) mod N, even for every k, r and N. Ids
 * are permuted first, as neighbours of a list sorted by frequency would meet in one stripe and heat one parity row.
 *
 * @throws FtError `INVALID_ARGUMENT` when the sizes do not fit
 */
export function createLayout(options: LayoutOptions): Layout {
  const { rows, bare = 0, k, r, servers, seed = 0 } = options
  const at = (argument: string) => ({ where: 'createLayout', argument })
  assertInteger(rows, { ...at('rows'), min: 1, max: 2 ** 31 })
  assertInteger(bare, { ...at('bare'), min: 0, max: rows - 1 })
  assertInteger(k, { ...at('k'), min: 1, max: 255 })
  assertInteger(r, { ...at('r'), min: 0, max: largestR(k) })
  assertInteger(servers, { ...at('servers'), min: 1, max: 1024 })
  const width = k + r
  if (width > servers) {
    throw new FtError(
      'INVALID_ARGUMENT',
      `createLayout: a stripe of k + r = ${width} rows needs as many servers, got ${servers}; lower k or add servers`,
      { k, r, servers },
    )
  }
  const coded = rows - bare
  const stripes = Math.ceil(coded / k)
  const codedGroups = Math.ceil(stripes / servers)
  const groups = codedGroups + Math.ceil(bare / k / servers)
  const [permutation, barePermutation] = [permute(coded, seed), permute(bare, seed)]
  /** Of bare rows: they begin with a group of stripes, so that on every server they are the last. */
  const firstSlot = codedGroups * servers * k
  const slotOf = (id: number): number =>
    id < coded ? permutation.forward(id) : firstSlot + barePermutation.forward(id - coded)
  const before = countBefore(servers, k, r)

  const placeOf = (id: number): Place => {
    const slot = slotOf(id)
    return { stripe: Math.floor(slot / k), position: slot % k }
  }
  const serverOf = ({ stripe, position }: Place): number => (stripe + position) % servers
  const localOf = (place: Place): number => {
    const { data, parity } = before[serverOf(place) * servers + (place.stripe % servers)]!
    const group = Math.floor(place.stripe / servers)
    return place.position < k ? group * k + data : group * r + parity
  }
  const dataBefore = Uint32Array.from(before, ({ data }) => data)
  const parityBefore = Int32Array.from(before, ({ parity }, at) => {
    const position = positionIn(at % servers, Math.floor(at / servers), servers)
    return position >= k && position < width ? parity : -1
  })
  const dataHere = Uint8Array.from(before, (_, at) => {
    return Number(positionIn(at % servers, Math.floor(at / servers), servers) < k)
  })
  const dataStripes = stripesOf(servers, (position) => position < k)
  const parityStripes = stripesOf(servers, (position) => position >= k && position < width)
  const place = (server: number, local: number, inGroup: readonly (readonly number[])[]): Place => {
    const own = inGroup[server]!
    const i = own[local % own.length]!
    return { stripe: Math.floor(local / own.length) * servers + i, position: (server - i + servers) % servers }
  }
  return {
    rows,
    bare,
    k,
    r,
    servers,
    seed,
    stripes,
    dataRows: groups * k,
    parityRows: codedGroups * r,
    firstBare: codedGroups * k,
    placeOf,
    idOf({ stripe, position }) {
      const slot = stripe * k + position
      if (slot < coded) return permutation.backward(slot)
      const inBare = slot - firstSlot
      return inBare >= 0 && inBare < bare ? coded + barePermutation.backward(inBare) : -1
    },
    serverOf,
    localOf,
    dataPlace: (server, local) => place(server, local, dataStripes),
    dataStripe(server, local) {
      const group = (local / k) >>> 0
      return group * servers + dataStripes[server]![local - group * k]!
    },
    parityStripe(server, local) {
      const own = parityStripes[server]!
      return Math.floor(local / r) * servers + own[local % r]!
    },
    parityLocal(server, stripe) {
      // Whole numbers below 2^31: their division is a third of one of doubles that is rounded down.
      const group = (stripe / servers) >>> 0
      const inGroup = parityBefore[server * servers + (stripe - group * servers)]!
      return inGroup < 0 ? -1 : group * r + inGroup
    },
    localIn(server, stripe) {
      const group = Math.floor(stripe / servers)
      const at = server * servers + (stripe - group * servers)
      const parity = parityBefore[at]!
      if (parity >= 0) return group * r + parity
      return dataHere[at] === 1 ? group * k + dataBefore[at]! : -1
    },
    locate(ids, out) {
      for (let i = 0; i < ids.length; i++) {
        const slot = slotOf(ids[i]!)
        const stripe = Math.floor(slot / k)
        const group = Math.floor(stripe / servers)
        const inGroup = stripe - group * servers
        const server = (inGroup + slot - stripe * k) % servers
        out.servers[i] = server
        out.locals[i] = group * k + dataBefore[server * servers + inGroup]!
      }
    },
    parityPlace: (server, local) => place(server, local, parityStripes),
  }
}

/** For each server and stripe of a group: its data and parity rows in the group's stripes before that one. */
function countBefore(servers: number, k: number, r: number): { data: number; parity: number }[] {
  const table: { data: number; parity: number }[] = []
  for (let server = 0; server < servers; server++) {
    let [data, parity] = [0, 0]
    for (let i = 0; i < servers; i++) {
      table.push({ data, parity })
      const position = (server - i + servers) % servers
      if (position < k) data++
      else if (position < k + r) parity++
    }
  }
  return table
}

/** For each server: the stripes of a group in which its position is wanted. */
function stripesOf(servers: number, wanted: (position: number) => boolean): number[][] {
  const all = Array.from({ length: servers }, (_, i) => i)
  return all.map((server) => all.filter((i) => wanted((server - i + servers) % servers)))
}

/** A one-to-one map of 0 .. rows - 1: id times a number near the golden section of `rows`, prime to it, plus an offset. */
function permute(rows: number, seed: number): { forward(id: number): number; backward(slot: number): number } {
  if (rows < 3) return { forward: (id) => id, backward: (slot) => slot }
  const random = createRandom(seed).stream('layout')
  let factor = Math.floor(rows * 0.6180339887498949) + random.integer(0, Math.floor(rows / 8))
  while (greatestCommonDivisor(factor, rows) !== 1) factor = (factor + 1) % rows
  const offset = random.integer(0, rows - 1)
  const inverse = modularInverse(factor, rows)
  return {
    forward: (id) => (productModulo(id, factor, rows) + offset) % rows,
    backward: (slot) => productModulo((slot - offset + rows) % rows, inverse, rows),
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  while (b !== 0) [a, b] = [b, a % b]
  return a
}

function modularInverse(a: number, modulus: number): number {
  let [r, nextR, t, nextT] = [modulus, a, 0, 1]
  while (nextR !== 0) {
    const quotient = Math.floor(r / nextR)
    ;[r, nextR] = [nextR, r - quotient * nextR]
    ;[t, nextT] = [nextT, t - quotient * nextT]
  }
  return t < 0 ? t + modulus : t
}

/** a b mod n for a, b < n <= 2^31. */
function productModulo(a: number, b: number, n: number): number {
  // Below 2^53 a product is exact, and so is what is left of it; its quotient may be off by one.
  if (n <= 2 ** 26) {
    const product = a * b
    const left = product - Math.floor(product / n) * n
    return left < 0 ? left + n : left >= n ? left - n : left
  }
  // In two halves, so that no product passes 2^53.
  const high = Math.floor(b / 65536)
  return (((a * high) % n) * 65536 + a * (b % 65536)) % n
}
