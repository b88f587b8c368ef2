// What this machine's WebAssembly can do. Probes are the smallest modules that use the feature.

/** `() => v128`, the body given by its instruction bytes. */
function probe(...body: number[]): Uint8Array<ArrayBuffer> {
  const code = [0, ...body, 0x0b]
  return Uint8Array.of(
    ...[0, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...[1, 5, 1, 0x60, 0, 1, 0x7b],
    ...[3, 2, 1, 0],
    ...[10, code.length + 2, 1, code.length, ...code],
  )
}

const splat = [0x41, 0, 0xfd, 15]

/** Whether 128-bit SIMD compiles here: everywhere but in very old browsers. */
export function simdSupported(): boolean {
  return typeof WebAssembly === 'object' && WebAssembly.validate(probe(...splat))
}

/** Whether relaxed SIMD (`f32x4.relaxed_madd`) compiles here: Node 22 and newer, current Chromium. */
export function relaxedSimdSupported(): boolean {
  return simdSupported() && WebAssembly.validate(probe(...splat, ...splat, ...splat, 0xfd, 0x85, 2))
}

/** Whether WebAssembly memory can be shared with threads: in pages only with COOP and COEP headers. */
export function sharedMemorySupported(): boolean {
  if (typeof SharedArrayBuffer === 'undefined') return false
  const isolated = (globalThis as { crossOriginIsolated?: boolean }).crossOriginIsolated
  return isolated !== false
}
