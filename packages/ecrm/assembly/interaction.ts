// The dot interaction of DLRM and its gradient, one sample after the other. Four values at a time, the last d mod 4 one by one; sums
// are float32 in a fixed order, so that bits do not depend on the machine.
//
// Layouts, row-major float32: z0 [batch, d], embeddings [batch, vectors - 1, d], joined [batch, d + pairs], where pair (i, other),
// other < i, is number i (i - 1) / 2 + other.

@inline
function horizontal(x: v128): f32 {
  const two = f32x4.add(x, v128.shuffle<f32>(x, x, 2, 3, 0, 1))
  return f32x4.extract_lane(two, 0) + f32x4.extract_lane(two, 1)
}

/** Of `bytes` and then `left` values. */
@inline
function dot(x: usize, y: usize, bytes: usize, left: usize): f32 {
  let sum = f32x4.splat(0)
  for (let j: usize = 0; j < bytes; j += 16) sum = f32x4.add(sum, f32x4.mul(v128.load(x + j), v128.load(y + j)))
  let rest: f32 = horizontal(sum)
  for (let j: usize = bytes; j < bytes + left; j += 4) rest += load<f32>(x + j) * load<f32>(y + j)
  return rest
}

export function interact(batch: u32, vectors: u32, d: u32, z0: usize, embeddings: usize, joined: usize): void {
  const row = (<usize>d) << 2
  const bytes = row & ~15
  const left = row & 15
  const pairs = ((<usize>vectors * (<usize>vectors - 1)) >> 1) << 2
  for (let b: u32 = 0; b < batch; b++) {
    memory.copy(joined, z0, row)
    let to = joined + row
    for (let i: usize = 0; i < <usize>vectors - 1; i++) {
      const x = embeddings + i * row
      store<f32>(to, dot(x, z0, bytes, left))
      to += 4
      for (let other: usize = 0; other < i; other++, to += 4) store<f32>(to, dot(x, embeddings + other * row, bytes, left))
    }
    z0 += row
    embeddings += (<usize>vectors - 1) * row
    joined += row + pairs
  }
}

/** Where the gradient of a pair of two different vectors is. */
@inline
function pairAt(pairs: usize, i: usize, other: usize): usize {
  const high = max(i, other)
  return pairs + ((((high * (high - 1)) >> 1) + min(i, other)) << 2)
}

@inline
function vectorAt(z0: usize, embeddings: usize, i: usize, row: usize): usize {
  return i == 0 ? z0 : embeddings + (i - 1) * row
}

/** What a sum begins with: values at an address, or zeros. */
@inline
function start(own: usize, offset: usize): v128 {
  return own == 0 ? f32x4.splat(0) : v128.load(own + offset)
}

/** Of a vector the sum of all others, each times the gradient of the pair; z0 stands in `joined` by itself, too. */
export function interactBackward(
  batch: u32,
  vectors: u32,
  d: u32,
  z0: usize,
  embeddings: usize,
  gradient: usize,
  ofZ0: usize,
  ofEmbeddings: usize,
): void {
  const row = (<usize>d) << 2
  const bytes = row & ~15
  const count = <usize>vectors
  const pairBytes = ((count * (count - 1)) >> 1) << 2
  for (let b: u32 = 0; b < batch; b++) {
    const pairs = gradient + row
    for (let i: usize = 0; i < count; i++) {
      const to = vectorAt(ofZ0, ofEmbeddings, i, row)
      let j: usize = 0
      for (; j + 64 <= bytes; j += 64) {
        const own = i == 0 ? gradient + j : 0
        let s0 = start(own, 0)
        let s1 = start(own, 16)
        let s2 = start(own, 32)
        let s3 = start(own, 48)
        for (let other: usize = 0; other < count; other++) {
          if (other == i) continue
          const g = v128.load32_splat(pairAt(pairs, i, other))
          const y = vectorAt(z0, embeddings, other, row) + j
          s0 = f32x4.add(s0, f32x4.mul(g, v128.load(y)))
          s1 = f32x4.add(s1, f32x4.mul(g, v128.load(y, 16)))
          s2 = f32x4.add(s2, f32x4.mul(g, v128.load(y, 32)))
          s3 = f32x4.add(s3, f32x4.mul(g, v128.load(y, 48)))
        }
        v128.store(to + j, s0)
        v128.store(to + j, s1, 16)
        v128.store(to + j, s2, 32)
        v128.store(to + j, s3, 48)
      }
      for (; j < bytes; j += 16) {
        let sum = start(i == 0 ? gradient + j : 0, 0)
        for (let other: usize = 0; other < count; other++) {
          if (other == i) continue
          const g = v128.load32_splat(pairAt(pairs, i, other))
          sum = f32x4.add(sum, f32x4.mul(g, v128.load(vectorAt(z0, embeddings, other, row) + j)))
        }
        v128.store(to + j, sum)
      }
      for (; j < row; j += 4) {
        let sum: f32 = i == 0 ? load<f32>(gradient + j) : 0
        for (let other: usize = 0; other < count; other++)
          if (other != i) sum += load<f32>(pairAt(pairs, i, other)) * load<f32>(vectorAt(z0, embeddings, other, row) + j)
        store<f32>(to + j, sum)
      }
    }
    z0 += row
    embeddings += (count - 1) * row
    gradient += row + pairBytes
    ofZ0 += row
    ofEmbeddings += (count - 1) * row
  }
}
