// Leaf numbers of binned rows: a tree is followed for several rows side by side, without a branch on their bins.

/**
 * Bytes of a node: column, left and right child (u32), then, from `RIGHT` on, 256 bits of the bins that go right. The leaves follow the
 * inner nodes; they send every bin to themselves.
 */
const NODE: usize = 48
const RIGHT: usize = 16

/** A row's next node. */
// @ts-ignore: decorator
@inline
function step(cell: usize, at: usize): usize {
  const bin = <u32>load<u8>(cell + <usize>load<u32>(at))
  const right = (load<u32>(at + ((<usize>(bin >> 5)) << 2), RIGHT) >> (bin & 31)) & 1
  return <usize>load<u32>(at + ((<usize>right) << 2), 4)
}

/**
 * ids[row] = leaf for rows start..end of a binned matrix. Children stand in `nodes` as addresses; `inner` inner nodes come first, the root
 * at the start. Rows wait for loads at every level: four at a time fill each other's waits.
 */
export function routeRows(bins: usize, stride: u32, start: u32, end: u32, nodes: usize, inner: u32, ids: usize, wide: u32): void {
  const leaves = nodes + <usize>inner * NODE
  const width = <usize>stride
  let row = start
  for (; row + 4 <= end; row += 4) {
    const a = bins + <usize>row * width
    const b = a + width
    const c = b + width
    const d = c + width
    let na = nodes
    let nb = nodes
    let nc = nodes
    let nd = nodes
    while (min(min(na, nb), min(nc, nd)) < leaves) {
      na = step(a, na)
      nb = step(b, nb)
      nc = step(c, nc)
      nd = step(d, nd)
    }
    storeLeaf(ids, row, na - leaves, wide)
    storeLeaf(ids, row + 1, nb - leaves, wide)
    storeLeaf(ids, row + 2, nc - leaves, wide)
    storeLeaf(ids, row + 3, nd - leaves, wide)
  }
  for (; row < end; row++) {
    const cell = bins + <usize>row * width
    let node = nodes
    while (node < leaves) node = step(cell, node)
    storeLeaf(ids, row, node - leaves, wide)
  }
}

// @ts-ignore: decorator
@inline
function storeLeaf(ids: usize, row: u32, offset: usize, wide: u32): void {
  const leaf = offset / NODE
  if (wide) store<u16>(ids + ((<usize>row) << 1), <u16>leaf)
  else store<u8>(ids + <usize>row, <u8>leaf)
}
