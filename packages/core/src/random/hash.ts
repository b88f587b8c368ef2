// Keys of streams: 128 bits made from a seed and names by MurmurHash3, so that streams do not depend on order of use.

/** Four 32-bit words. */
export type Key = readonly [number, number, number, number]

/** Bijective mixing of 32 bits: every input bit changes every output bit with probability near one half. */
export function mix32(x: number): number {
  let h = x ^ (x >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return h ^ (h >>> 16)
}

/** MurmurHash3 (x86, 32 bits) of a sequence of words. */
function hashWords(words: readonly number[], seed: number): number {
  let h = seed
  for (const word of words) {
    let k = Math.imul(word, 0xcc9e2d51)
    k = (k << 15) | (k >>> 17)
    h ^= Math.imul(k, 0x1b873593)
    h = (h << 13) | (h >>> 19)
    h = (Math.imul(h, 5) + 0xe6546b64) | 0
  }
  return mix32(h ^ (words.length * 4))
}

/** The key of a seed: any integer that float64 holds exactly. */
export function keyOfSeed(seed: number): Key {
  const high = Math.floor(seed / 4294967296)
  return deriveKey([0x9e3779b9, 0x243f6a88, 0xb7e15162, 0x6a09e667], [seed | 0, high | 0])
}

/** The key of a named stream inside another. */
export function keyOfStream(parent: Key, name: string, index: number): Key {
  const words = [name.length, index | 0, Math.floor(index / 4294967296) | 0]
  for (let i = 0; i < name.length; i++) words.push(name.charCodeAt(i))
  return deriveKey(parent, words)
}

function deriveKey(parent: Key, words: readonly number[]): Key {
  const [a, b, c, d] = parent
  // Each half depends on the whole parent: the first round's words are hashed in with the second's.
  const first = hashWords([b, c, d, ...words], a)
  const second = hashWords([first, a, c, d, ...words], b)
  const third = hashWords([second, first, a, b, d, ...words], c)
  const fourth = hashWords([third, second, first, a, b, c, ...words], d)
  return [first, second, third, fourth]
}
