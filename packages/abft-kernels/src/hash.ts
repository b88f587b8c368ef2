// A short hash of data: tells whether two are the same, guards against nobody.

/** FNV-1a, 32 bits, going on from an earlier hash. */
export function hashOfBytes(bytes: Uint8Array, from = 0x811c9dc5): number {
  let hash = from
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193)
  return hash >>> 0
}

export function hashOfArray(data: ArrayBufferView, from?: number): number {
  return hashOfBytes(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), from)
}
