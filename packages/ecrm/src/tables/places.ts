// Which ids are rows at the shards, and which of replicated tables, with the trainer.

export type Protection = 'encode' | 'replicate' | 'leave'

/** A table of a store, where its ids are. */
export interface StoredTable {
  /** The id of its first row. */
  readonly first: number
  readonly rows: number
  readonly protection: Protection
}

/** Ids by where their rows are. Rows of either kind are numbered 0, 1, 2, ... by themselves, table after table; those without parity last. */
export interface Split {
  readonly sharded: Part
  readonly replicated: Part
}

export interface Part {
  /** Numbers of rows of that kind. */
  readonly rows: Uint32Array
  /** Where each stands in the list that was split. */
  readonly at: Uint32Array
}

/** Tables of one kind, end to end. */
export interface Kind {
  readonly rows: number
  readonly tables: readonly { readonly first: number; readonly begin: number; readonly rows: number }[]
  idOf(row: number): number
}

export interface TablePlaces {
  /** Rows of all tables. */
  readonly rows: number
  /** Whether every row is at the shards, by its id. */
  readonly plain: boolean
  readonly sharded: Kind
  readonly replicated: Kind
  /** Ids must be below `rows`. Cost: two passes, and a search among tables wherever the table changes. */
  split(ids: Uint32Array): Split
}

export function createPlaces(tables: readonly StoredTable[]): TablePlaces {
  const sharded = kindOf(tables, ['encode', 'leave'])
  const replicated = kindOf(tables, ['replicate'])
  const begins = new Map([...sharded.tables, ...replicated.tables].map(({ first, begin }) => [first, begin]))
  const shifts = tables.map(({ first }) => first - begins.get(first)!)
  const ends = tables.map(({ first, rows }) => first + rows)
  const near = tables.map(({ protection }) => protection === 'replicate')

  /** The table of an id, most often that of the id before. */
  function tableOf(id: number, before: number): number {
    if (id < ends[before]! && id >= tables[before]!.first) return before
    let [low, high] = [0, tables.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (id < ends[middle]!) high = middle
      else low = middle + 1
    }
    return low
  }

  return {
    rows: ends.at(-1) ?? 0,
    plain: tables.every(({ protection }) => protection === 'encode'),
    sharded,
    replicated,
    split(ids) {
      let [count, table] = [0, 0]
      for (let i = 0; i < ids.length; i++) if (near[(table = tableOf(ids[i]!, table))]!) count++
      const part = (length: number): Part => ({ rows: new Uint32Array(length), at: new Uint32Array(length) })
      const [far, close] = [part(ids.length - count), part(count)]
      let [toFar, toClose] = [0, 0]
      for (let i = 0; i < ids.length; i++) {
        const id = ids[i]!
        table = tableOf(id, table)
        const [to, place] = near[table]! ? [close, toClose++] : [far, toFar++]
        to.rows[place] = id - shifts[table]!
        to.at[place] = i
      }
      return { sharded: far, replicated: close }
    },
  }
}

/** Tables of these protections, in the order of the list. */
function kindOf(all: readonly StoredTable[], wanted: readonly Protection[]): Kind {
  let rows = 0
  const tables = wanted
    .flatMap((one) => all.filter(({ protection }) => protection === one))
    .map((table) => ({ first: table.first, begin: (rows += table.rows) - table.rows, rows: table.rows }))
  return {
    rows,
    tables,
    idOf(row) {
      const { first, begin } = tables.findLast((table) => table.begin <= row)!
      return first + row - begin
    },
  }
}
