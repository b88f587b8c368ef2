// Moving floats: copies and zeros of any length, transposition.

// @ts-ignore: decorator
@inline
export function copyFloats(to: usize, from: usize, count: i32): void {
  let i = count
  for (; i >= 16; i -= 16) {
    const x = v128.load(from)
    const y = v128.load(from, 16)
    const z = v128.load(from, 32)
    const w = v128.load(from, 48)
    v128.store(to, x)
    v128.store(to, y, 16)
    v128.store(to, z, 32)
    v128.store(to, w, 48)
    from += 64
    to += 64
  }
  for (; i >= 4; i -= 4) {
    v128.store(to, v128.load(from))
    from += 16
    to += 16
  }
  for (; i > 0; i--) {
    store<u32>(to, load<u32>(from))
    from += 4
    to += 4
  }
}

// @ts-ignore: decorator
@inline
export function zeroFloats(to: usize, count: i32): void {
  const zero = i32x4.splat(0)
  let i = count
  for (; i >= 4; i -= 4) {
    v128.store(to, zero)
    to += 16
  }
  for (; i > 0; i--) {
    store<u32>(to, 0)
    to += 4
  }
}

/** Writes the transpose of rows [row0, row1) of a matrix [rows, columns] of 4-byte elements. */
export function transposeWords(from: usize, to: usize, rows: i32, columns: i32, row0: i32, row1: i32): void {
  const stride = <usize>columns << 2
  const toStride = <usize>rows << 2
  let i = row0
  for (; i + 4 <= row1; i += 4) {
    const p = from + <usize>i * stride
    const q = to + (<usize>i << 2)
    let j = 0
    for (; j + 4 <= columns; j += 4) {
      const at = p + (<usize>j << 2)
      const r0 = v128.load(at)
      const r1 = v128.load(at + stride)
      const r2 = v128.load(at + 2 * stride)
      const r3 = v128.load(at + 3 * stride)
      const a = v128.shuffle<i32>(r0, r1, 0, 4, 1, 5)
      const b = v128.shuffle<i32>(r0, r1, 2, 6, 3, 7)
      const c = v128.shuffle<i32>(r2, r3, 0, 4, 1, 5)
      const d = v128.shuffle<i32>(r2, r3, 2, 6, 3, 7)
      const out = q + <usize>j * toStride
      v128.store(out, v128.shuffle<i32>(a, c, 0, 1, 4, 5))
      v128.store(out + toStride, v128.shuffle<i32>(a, c, 2, 3, 6, 7))
      v128.store(out + 2 * toStride, v128.shuffle<i32>(b, d, 0, 1, 4, 5))
      v128.store(out + 3 * toStride, v128.shuffle<i32>(b, d, 2, 3, 6, 7))
    }
    for (; j < columns; j++) for (let r = 0; r < 4; r++) transposeWord(p, q, stride, toStride, r, j)
  }
  for (; i < row1; i++)
    for (let j = 0; j < columns; j++) transposeWord(from + <usize>i * stride, to + (<usize>i << 2), stride, toStride, 0, j)
}

// @ts-ignore: decorator
@inline
function transposeWord(p: usize, q: usize, stride: usize, toStride: usize, row: i32, column: i32): void {
  store<u32>(
    q + <usize>column * toStride + (<usize>row << 2),
    load<u32>(p + <usize>row * stride + (<usize>column << 2)),
  )
}

/** The same for bytes; for the small matrices of integer products. */
export function transposeBytes(from: usize, to: usize, rows: i32, columns: i32, row0: i32, row1: i32): void {
  for (let i = row0; i < row1; i++)
    for (let j = 0; j < columns; j++)
      store<u8>(to + <usize>j * rows + i, load<u8>(from + <usize>i * columns + j))
}
