// Arrays of what a model computes on its way: of a batch like the one before they are there already, and nothing has to be collected.

/** An array of a length, by name: what it held before is gone. Of what a name had the largest is kept. */
export type Scratch = (name: string, length: number) => Float32Array

/** A new one every time. */
export const freshArray: Scratch = (_, length) => new Float32Array(length)

export function createScratch(): Scratch {
  const held = new Map<string, Float32Array>()
  return (name, length) => {
    const there = held.get(name)
    if (there !== undefined && there.length >= length) return there.subarray(0, length)
    const fresh = new Float32Array(length)
    held.set(name, fresh)
    return fresh
  }
}
