// Prediction on float32 rows. Trees are complete binary trees in heap order, padded to their depth with nodes whose
// threshold is infinite, so that every row takes the same number of steps without a branch.

/** Bytes of a node: threshold f32, feature u16, missing left u16. */
const NODE: usize = 8

/**
 * sums[row] += value of the row's leaf, for rows first..last, 4 rows a step. A value goes left when x <= threshold.
 * Rows must be free of NaN.
 */
export function predictComplete(
  values: usize,
  columns: u32,
  first: u32,
  last: u32,
  nodes: usize,
  depth: u32,
  leaves: usize,
  sums: usize,
  outputs: u32,
): void {
  const bytes = (<usize>columns) << 2
  const interior: u32 = (1 << depth) - 1
  let row = first
  for (; row + 4 <= last; row += 4) {
    const x0 = values + <usize>row * bytes
    const x1 = x0 + bytes
    const x2 = x1 + bytes
    const x3 = x2 + bytes
    let n0: u32 = 0
    let n1: u32 = 0
    let n2: u32 = 0
    let n3: u32 = 0
    for (let level: u32 = 0; level < depth; level++) {
      const a0 = nodes + ((<usize>n0) << 3)
      const a1 = nodes + ((<usize>n1) << 3)
      const a2 = nodes + ((<usize>n2) << 3)
      const a3 = nodes + ((<usize>n3) << 3)
      n0 = 2 * n0 + 1 + <u32>(load<f32>(x0 + ((<usize>load<u16>(a0, 4)) << 2)) > load<f32>(a0))
      n1 = 2 * n1 + 1 + <u32>(load<f32>(x1 + ((<usize>load<u16>(a1, 4)) << 2)) > load<f32>(a1))
      n2 = 2 * n2 + 1 + <u32>(load<f32>(x2 + ((<usize>load<u16>(a2, 4)) << 2)) > load<f32>(a2))
      n3 = 2 * n3 + 1 + <u32>(load<f32>(x3 + ((<usize>load<u16>(a3, 4)) << 2)) > load<f32>(a3))
    }
    const s = sums + <usize>row * ((<usize>outputs) << 3)
    const step = (<usize>outputs) << 3
    store<f64>(s, load<f64>(s) + load<f64>(leaves + ((<usize>(n0 - interior)) << 3)))
    store<f64>(s + step, load<f64>(s + step) + load<f64>(leaves + ((<usize>(n1 - interior)) << 3)))
    store<f64>(s + 2 * step, load<f64>(s + 2 * step) + load<f64>(leaves + ((<usize>(n2 - interior)) << 3)))
    store<f64>(s + 3 * step, load<f64>(s + 3 * step) + load<f64>(leaves + ((<usize>(n3 - interior)) << 3)))
  }
  for (; row < last; row++) {
    const x = values + <usize>row * bytes
    let n: u32 = 0
    for (let level: u32 = 0; level < depth; level++) {
      const a = nodes + ((<usize>n) << 3)
      n = 2 * n + 1 + <u32>(load<f32>(x + ((<usize>load<u16>(a, 4)) << 2)) > load<f32>(a))
    }
    const s = sums + <usize>row * ((<usize>outputs) << 3)
    store<f64>(s, load<f64>(s) + load<f64>(leaves + ((<usize>(n - interior)) << 3)))
  }
}

/** The same with missing values, one row a step: NaN goes where the node says. */
export function predictCompleteMissing(
  values: usize,
  columns: u32,
  first: u32,
  last: u32,
  nodes: usize,
  depth: u32,
  leaves: usize,
  sums: usize,
  outputs: u32,
): void {
  const interior: u32 = (1 << depth) - 1
  for (let row = first; row < last; row++) {
    const x = values + <usize>row * ((<usize>columns) << 2)
    let n: u32 = 0
    for (let level: u32 = 0; level < depth; level++) {
      const a = nodes + ((<usize>n) << 3)
      const value = load<f32>(x + ((<usize>load<u16>(a, 4)) << 2))
      n = 2 * n + 1 + (value == value ? <u32>(value > load<f32>(a)) : 1 - <u32>load<u16>(a, 6))
    }
    const s = sums + <usize>row * ((<usize>outputs) << 3)
    store<f64>(s, load<f64>(s) + load<f64>(leaves + ((<usize>(n - interior)) << 3)))
  }
}

/** Whether any of `count` floats at `values` is NaN. */
export function hasMissing(values: usize, count: u32): u32 {
  let any: u32 = 0
  for (let i: usize = 0; i < <usize>count; i++) {
    const x = load<f32>(values + (i << 2))
    any |= <u32>(x != x)
  }
  return any
}

/** Bytes of a general node: threshold f32, feature u16, flags u16, left i32, right i32 (below 0: ~leaf), set u32. */
const GENERAL: usize = 20
const MISSING_LEFT: u32 = 1
const CATEGORICAL: u32 = 2

/** Leaf of each row under a tree of any shape; categorical nodes test category codes in 256-bit sets. */
export function leafOf(
  values: usize,
  columns: u32,
  first: u32,
  last: u32,
  nodes: usize,
  sets: usize,
  ids: usize,
): void {
  for (let row = first; row < last; row++) {
    const x = values + <usize>row * ((<usize>columns) << 2)
    let node: i32 = 0
    while (node >= 0) {
      const a = nodes + <usize>node * GENERAL
      const value = load<f32>(x + ((<usize>load<u16>(a, 4)) << 2))
      const flags = <u32>load<u16>(a, 6)
      let left: bool
      if (value != value) left = (flags & MISSING_LEFT) != 0
      else if (flags & CATEGORICAL) {
        // A code outside 0..255 was never seen: it goes right.
        const code = value >= 0 && value < 256 ? <u32>value : 255
        left =
          value >= 0 &&
          value < 255 &&
          ((load<u32>(sets + <usize>load<u32>(a, 16) + ((code >> 5) << 2)) >> (code & 31)) & 1) != 0
      } else left = value <= load<f32>(a)
      node = left ? load<i32>(a, 8) : load<i32>(a, 12)
    }
    store<u32>(ids + ((<usize>(row - first)) << 2), <u32>~node)
  }
}
