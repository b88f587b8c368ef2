// Arrays of what a model computes on its way: of a batch like the one before they are there already, and nothing has to be collected.

/** An array of a length, by name: what it held before is gone. Of what a name had the largest is kept. */
export type Scratch = (name: string, length: number) => Float32Array

/** A new one every time. */
export const freshArray: Scratch = (_, length) => new Float32Array(length)

/** The same for float64. */
export const doublesOf = (scratch: Scratch, name: string, length: number): Float64Array => {
  const { buffer, byteOffset } = scratch(name, 2 * length)
  return new Float64Array(buffer, byteOffset, length)
}

export function createScratch(): Scratch {
  const held = new Map<string, Float32Array>()
  return (name, length) => {
    const there = held.get(name)
    if (there !== undefined && there.length >= length) return there.subarray(0, length)
    // Batches differ a little in what they name: the next one that is larger by so much needs no other memory.
    const fresh = new Float32Array(length + (length >>> 3))
    held.set(name, fresh)
    return fresh.subarray(0, length)
  }
}
