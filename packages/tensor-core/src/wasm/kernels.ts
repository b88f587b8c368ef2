// The engine's kernels on a runtime, and the shapes of their tiles.
import type { WasmModule, WasmRuntime } from '@ft/core'
import { blockSteps, panelColumns, stripColumns, tileRows } from '../../assembly/fields.ts'
import { gemm } from '../generated/gemm.ts'
import { instrumented as instrumentedBuilds } from '../generated/instrumented.ts'
import { loadKernels } from '../runtime/kernels.ts'

/** One of the kernels' two arithmetics: float32, or int8 pairs with int32 sums. */
export interface Arithmetic {
  readonly integer: boolean
  /** 'Floats' or 'Integers': the ending of its kernels' names. */
  readonly suffix: 'Floats' | 'Integers'
  readonly tileRows: number
  readonly tileColumns: number
  /** Elements along k in a step. */
  readonly elementsPerStep: number
  /** Bytes of an element of A and of row-major weights. */
  readonly operandBytes: number
  /** Bytes of a check sum. */
  readonly sumBytes: number
}

type Kernel = (...args: number[]) => number

export interface Kernels {
  readonly runtime: WasmRuntime
  readonly module: WasmModule
  readonly floats: Arithmetic
  readonly integers: Arithmetic
  readonly instrumented: boolean
  /** Address of the word that numbers the threads. */
  readonly threadCounter: number
  /** Kernels that the calling thread alone runs. */
  readonly judgeRows: Kernel
  readonly judgeThin: Kernel
  readonly judgeTiles: Kernel
  readonly judgeColumns: Kernel
  readonly measureOperand: Kernel
  /** Name of what decides the bits of float products. */
  readonly build: string
}

// A thread's number belongs to its instance of the module, so all engines on one runtime count with the same word.
const counters = new WeakMap<WasmModule, number>()

function threadCounterOf(runtime: WasmRuntime, module: WasmModule): number {
  const known = counters.get(module)
  if (known !== undefined) return known
  const address = runtime.alloc(4)
  new Int32Array(runtime.memory.buffer, address, 1).fill(0)
  counters.set(module, address)
  return address
}

export function loadEngine(runtime: WasmRuntime, instrumented: boolean): Kernels {
  const name = instrumented ? 'ft.gemm.instrumented' : 'ft.gemm'
  const module = loadKernels(runtime, name, instrumented ? instrumentedBuilds : gemm)
  const { judgeRows, judgeThin, judgeTiles, judgeColumns, measureOperand } = module.exports as Readonly<
    Record<'judgeRows' | 'judgeThin' | 'judgeTiles' | 'judgeColumns' | 'measureOperand', Kernel>
  >
  return {
    runtime,
    module,
    judgeRows,
    judgeThin,
    judgeTiles,
    judgeColumns,
    measureOperand,
    threadCounter: threadCounterOf(runtime, module),
    floats: {
      integer: false,
      suffix: 'Floats',
      tileRows,
      tileColumns: panelColumns,
      elementsPerStep: 1,
      operandBytes: 4,
      sumBytes: 8,
    },
    integers: {
      integer: true,
      suffix: 'Integers',
      tileRows,
      tileColumns: panelColumns,
      elementsPerStep: 2,
      operandBytes: 1,
      sumBytes: 4,
    },
    instrumented,
    build: `wasm/${runtime.relaxed ? 'relaxed' : 'simd'}/${tileRows}x${panelColumns}x${blockSteps}`,
  }
}

export function panelsOf(arithmetic: Arithmetic, n: number): number {
  return Math.max(1, Math.ceil(n / arithmetic.tileColumns))
}

export function stepsOf(arithmetic: Arithmetic, k: number): number {
  return Math.ceil(k / arithmetic.elementsPerStep)
}

/** Columns are added up in strips, so that row sums do not depend on how panels are shared among threads. */
export function stripsOf(arithmetic: Arithmetic, n: number): number {
  return Math.ceil((panelsOf(arithmetic, n) * arithmetic.tileColumns) / stripColumns)
}

/** Calls a kernel on ranges of `total` items, shared among the threads when there is enough to do. */
export function forkRanges(
  kernels: Kernels,
  o: { fn: string; total: number; least: number; args: (from: number, to: number) => number[] },
): void {
  const { runtime, module } = kernels
  const parts = Math.max(1, Math.min(runtime.threads, Math.floor(o.total / o.least)))
  const tasks: number[][] = []
  for (let i = 0; i < parts; i++)
    tasks.push(o.args(Math.floor((i * o.total) / parts), Math.floor(((i + 1) * o.total) / parts)))
  runtime.fork(module, o.fn, tasks)
}
