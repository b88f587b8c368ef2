// A table as a NumPy file.
import { assertInteger } from '@ft/core'
import type { ShardStore } from '../store.ts'

const idsAPull = 65_536

/**
 * Reads one table and packs it as a .npy file of float32, shape [rows, d], row-major.
 *
 * Source: the NPY format, version 1.0.
 *
 * @throws FtError `INVALID_ARGUMENT` for a table that is not there; as `store.pull`
 */
export async function exportNpy(store: ShardStore, table: number): Promise<Uint8Array> {
  assertInteger(table, { where: 'exportNpy', argument: 'table', min: 0, max: store.tables.length - 1 })
  const { first, rows } = store.tables[table]!
  const dictionary = `{'descr': '<f4', 'fortran_order': False, 'shape': (${rows}, ${store.d}), }`
  // Magic, version and length take 10 bytes; the header ends in a line feed and all of it fills whole 64 bytes.
  const padded = Math.ceil((10 + dictionary.length + 1) / 64) * 64 - 10
  const out = new Uint8Array(10 + padded + rows * store.d * 4)
  out.set([0x93, ...new TextEncoder().encode('NUMPY'), 1, 0, padded & 255, padded >> 8])
  out.set(new TextEncoder().encode(`${dictionary.padEnd(padded - 1)}\n`), 10)
  for (let at = 0; at < rows; at += idsAPull) {
    const ids = Uint32Array.from({ length: Math.min(idsAPull, rows - at) }, (_, i) => first + at + i)
    const values = await store.pull(ids)
    out.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), 10 + padded + at * store.d * 4)
  }
  return out
}
