// Rows in WebAssembly memory, and the kernels of assembly/rows.ts on them: on cold rows they take a half to a quarter of
// the time of the same in JavaScript.
import { rows as builds } from '../generated/rows.ts'
import { optimizerNames } from './optimizers.ts'
import type { ResolvedSpec } from './spec.ts'

/** No place, or no row, in a list of them. */
export const nowhere = 0xffff_ffff

/** Lists of rows may be of any length; arrays of words are read and written where they are. */
export interface RowKernels {
  /** `[dataRows, width]` and `[parityRows, width]`, zeroed. */
  readonly words: Uint32Array<ArrayBuffer>
  readonly parity: Uint32Array<ArrayBuffer>
  /** Rows that `apply` and `add` take at once. */
  readonly most: number
  /** The first `d` words of data rows, one after the other. */
  gather(locals: Uint32Array, out: Uint32Array): void
  /**
   * Applies the optimizer to at most `most` data rows.
   *
   * @param gradients - as bits, `[locals.length, d]`
   * @param places - where the difference of each row goes, by its number; or `nowhere`
   * @returns differences `[.., width]`, good until the next call
   */
  apply(locals: Uint32Array, gradients: Uint32Array, places: Uint32Array): Uint32Array
  /** Adds words `[locals.length, width]` to at most `most` parity rows, none for `nowhere`. */
  add(locals: Uint32Array, words: Uint32Array): void
}

type Functions = Readonly<Record<'gatherRows' | 'addRows' | 'updateRows', (...args: number[]) => void>>

const pageBytes = 65_536
const lineBytes = 64
const mostPages = 65_536

/** A server's rows in a memory of their own; undefined where there can be none: without SIMD, or for more than 4 GiB. */
export function createRowKernels({ layout, d, width, row, optimizer }: ResolvedSpec): RowKernels | undefined {
  // What is worked on at once stays in the cache.
  const most = Math.max(1, Math.min(512, Math.floor(65_536 / width)))
  const sizes = [
    layout.dataRows * width,
    layout.parityRows * width,
    most,
    most,
    most * Math.max(d, width),
    most * width,
  ]
  const starts: number[] = []
  let end = lineBytes
  for (const size of sizes) {
    starts.push(end)
    end += Math.ceil((size * 4) / lineBytes) * lineBytes
  }
  const made = instantiate(Math.ceil(end / pageBytes))
  if (made === undefined) return undefined
  const { memory, functions } = made
  const view = (i: number): Uint32Array<ArrayBuffer> => new Uint32Array(memory.buffer, starts[i], sizes[i])
  const [words, parity, locals, places, input, output] = [0, 1, 2, 3, 4, 5].map(view) as [
    ...[Uint32Array<ArrayBuffer>, Uint32Array<ArrayBuffer>],
    ...[Uint32Array, Uint32Array, Uint32Array, Uint32Array],
  ]
  const { gatherRows, addRows, updateRows } = functions
  const which = optimizerNames.indexOf(optimizer.name)
  const bytes = width * 4
  return {
    words,
    parity,
    most,
    gather(list, out) {
      for (let from = 0; from < list.length; from += most) {
        const count = Math.min(most, list.length - from)
        locals.set(list.subarray(from, from + count))
        gatherRows(count, locals.byteOffset, words.byteOffset, bytes, d * 4, output.byteOffset)
        out.set(output.subarray(0, count * d), from * d)
      }
    },
    apply(list, gradients, at) {
      locals.set(list)
      places.set(at)
      input.set(gradients)
      const [values, differences] = [input.byteOffset, output.byteOffset]
      const lists = [locals.byteOffset, words.byteOffset, bytes, d, values, places.byteOffset, differences]
      updateRows(list.length, ...lists, which, ...row.parameters)
      return output
    },
    add(list, from) {
      locals.set(list)
      input.set(from)
      addRows(list.length, locals.byteOffset, parity.byteOffset, bytes, input.byteOffset)
    },
  }
}

function instantiate(pages: number): { memory: WebAssembly.Memory; functions: Functions } | undefined {
  if (pages > mostPages) return undefined
  try {
    const memory = new WebAssembly.Memory({ initial: pages, maximum: pages })
    const module = new WebAssembly.Module(Uint8Array.from(atob(builds.simd), (letter) => letter.charCodeAt(0)))
    return { memory, functions: new WebAssembly.Instance(module, { env: { memory } }).exports as Functions }
  } catch {
    // Without SIMD, or without so much memory in one piece: rows lie in arrays, and what is done to them is the same.
    return undefined
  }
}
