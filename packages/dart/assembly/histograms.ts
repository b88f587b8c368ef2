// Histograms between counting and search: partial ones of threads added, the sibling by subtraction, and features that share a column
// taken apart again. Sums are packed integers, so all of it is exact.

/** Bytes of a record of a column's feature: feature, first byte (0: it has the column for itself), bytes, default bin, bins. */
export const MEMBER: usize = 20

/** Sum of a column's histogram: that of the node. */
export function sumOf(column: usize): i64 {
  let sums = i64x2.splat(0)
  for (let i: usize = 0; i < 2048; i += 16) sums = i64x2.add(sums, v128.load(column + i))
  return i64x2.extract_lane(sums, 0) + i64x2.extract_lane(sums, 1)
}

/** A feature's histogram from that of the column that it shares, and the node's sum. */
export function unbundle(column: usize, member: usize, total: i64, bins: u32, cells: usize): void {
  memory.fill(cells, 0, (<usize>bins) << 3)
  const count = <usize>load<u32>(member, 8)
  const from = column + ((<usize>load<u32>(member, 4)) << 3)
  const numbers = <usize>load<u32>(member, 16)
  let rest = total
  for (let i: usize = 0; i < count; i++) {
    const sum = load<i64>(from + (i << 3))
    store<i64>(cells + ((<usize>load<u8>(numbers + i)) << 3), sum)
    rest -= sum
  }
  store<i64>(cells + ((<usize>load<u32>(member, 12)) << 3), rest)
}

export function unbundleRows(column: usize, member: usize, total: u32, bins: u32, cells: usize): void {
  memory.fill(cells, 0, (<usize>bins) << 2)
  const count = <usize>load<u32>(member, 8)
  const from = column + ((<usize>load<u32>(member, 4)) << 2)
  const numbers = <usize>load<u32>(member, 16)
  let rest = total
  for (let i: usize = 0; i < count; i++) {
    const rows = load<u32>(from + (i << 2))
    store<u32>(cells + ((<usize>load<u8>(numbers + i)) << 2), rows)
    rest -= rows
  }
  store<u32>(cells + ((<usize>load<u32>(member, 12)) << 2), rest)
}

export function combine(built: usize, partials: usize, parts: u32, parent: usize, bytes: usize, first: usize, last: usize): void {
  for (let part: usize = 0; part < <usize>parts; part++) {
    const other = partials + part * bytes
    for (let i = first; i < last; i += 16) v128.store(built + i, i64x2.add(v128.load(built + i), v128.load(other + i)))
  }
  if (parent == 0) return
  for (let i = first; i < last; i += 16) v128.store(parent + i, i64x2.sub(v128.load(parent + i), v128.load(built + i)))
}

export function combineCounts(built: usize, partials: usize, parts: u32, parent: usize, bytes: usize, first: usize, last: usize): void {
  for (let part: usize = 0; part < <usize>parts; part++) {
    const other = partials + part * bytes
    for (let i = first; i < last; i += 16) v128.store(built + i, i32x4.add(v128.load(built + i), v128.load(other + i)))
  }
  if (parent == 0) return
  for (let i = first; i < last; i += 16) v128.store(parent + i, i32x4.sub(v128.load(parent + i), v128.load(built + i)))
}
