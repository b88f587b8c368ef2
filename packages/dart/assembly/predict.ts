// Prediction on float32 rows. Trees are complete binary trees in heap order, padded to their depth with nodes whose
// threshold is infinite, so that every row takes the same number of steps without a branch.

/**
 * Bytes of a node: threshold f32, place of its feature in a row in bytes u32. From the node at address a to its left child is 2 a - nodes
 * + 8, the right one follows. A byte a node behind the last says whether the missing go left.
 */
const NODE: usize = 8

/** The child of the node at `at`, `base` being 8 - nodes. */
// @ts-ignore: decorator
@inline
function child(x: usize, at: usize, base: usize): usize {
  const right = <usize>(load<f32>(x + <usize>load<u32>(at, 4)) > load<f32>(at))
  return 2 * at + base + (right << 3)
}

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
  const base = NODE - nodes
  const step = (<usize>outputs) << 3
  // Leaves are numbered on behind the nodes: their values lie beside where another level of nodes would.
  const values0 = leaves - (nodes + (<usize>((1 << depth) - 1) << 3))
  let row = first
  let s = sums + <usize>row * step
  for (; row + 4 <= last; row += 4, s += 4 * step) {
    const x0 = values + <usize>row * bytes
    const x1 = x0 + bytes
    const x2 = x1 + bytes
    const x3 = x2 + bytes
    let a0 = nodes
    let a1 = nodes
    let a2 = nodes
    let a3 = nodes
    for (let level: u32 = 0; level < depth; level++) {
      a0 = child(x0, a0, base)
      a1 = child(x1, a1, base)
      a2 = child(x2, a2, base)
      a3 = child(x3, a3, base)
    }
    store<f64>(s, load<f64>(s) + load<f64>(values0 + a0))
    store<f64>(s + step, load<f64>(s + step) + load<f64>(values0 + a1))
    store<f64>(s + 2 * step, load<f64>(s + 2 * step) + load<f64>(values0 + a2))
    store<f64>(s + 3 * step, load<f64>(s + 3 * step) + load<f64>(values0 + a3))
  }
  for (; row < last; row++, s += step) {
    const x = values + <usize>row * bytes
    let at = nodes
    for (let level: u32 = 0; level < depth; level++) at = child(x, at, base)
    store<f64>(s, load<f64>(s) + load<f64>(values0 + at))
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
  const missing = nodes + <usize>interior * NODE
  for (let row = first; row < last; row++) {
    const x = values + <usize>row * ((<usize>columns) << 2)
    let n: u32 = 0
    for (let level: u32 = 0; level < depth; level++) {
      const a = nodes + ((<usize>n) << 3)
      const value = load<f32>(x + <usize>load<u32>(a, 4))
      n = 2 * n + 1 + (value == value ? <u32>(value > load<f32>(a)) : 1 - <u32>load<u8>(missing + <usize>n))
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
