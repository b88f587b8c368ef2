// Matrix engines: they compute products and the sums that checksum schemes need. They judge nothing.
import type { Fault } from './faults.ts'
import type { Pair, TBLR, Tensor } from './tensor.ts'

export type EngineName = 'reference' | 'wasm' | 'webgpu' | 'gpujs'

export type Activation = 'relu' | 'gelu'

/** Both sides of one kind of check, index by index: equal but for rounding when nothing went wrong. */
export interface CheckSums {
  /** Sums over the computed output, before bias and activation, taken from the registers that hold it. */
  readonly actual: Float32Array | Float64Array | Int32Array
  /** The same sums predicted from the operands and their checksums. */
  readonly expected: Float32Array | Float64Array | Int32Array
}

/**
 * Check sums of rows, range by range of columns, so that no check adds up more columns than its rounding lets it judge:
 * `[ranges * batch * m]`, row `i` of item `b` in range `r` at `(r * batch + b) * m + i`. Range `r` has columns
 * `[r * rangeColumns, (r + 1) * rangeColumns)` of `[0, n)`; engines fix the ranges by n alone.
 */
export interface RowSums extends CheckSums {
  /** 1 where an engine does not split. */
  readonly ranges: number
  /** Columns of every range but the last, which may have fewer. */
  readonly rangeColumns: number
}

/** Check sums of register tiles, row-major over the grid of tiles. The last tile of a row or column may be smaller. */
export interface TileSums extends CheckSums {
  readonly tileRows: number
  readonly tileColumns: number
  /** Tiles down and across (of one batch item). */
  readonly grid: Pair
  /** Set where both sides are the same operations in the same order: they then differ by 0 unless a fault struck. */
  readonly exact?: boolean
}

/** What the layer after this one needs to start its own global check: see `nextChecksum`. */
export type NextChecksum =
  /** Column sums of the activation: `[n]`. For a dense layer that follows. */
  | { readonly kind: 'matmul' }
  /** Sums of the activation pixels that each filter tap sees: `[r, s, n]`. For a convolution that follows. */
  | {
      readonly kind: 'conv2d'
      readonly kernel: Pair
      readonly stride: Pair
      readonly pad: TBLR
      readonly dilation: Pair
    }

/** Sums to emit beside the product. With any of them the product's bits are those of the plain run. */
export interface Emit {
  /** `sum_j c_ij` beside `sum_k a_ik (B e)_k`, j in a range of columns: `[ranges * batch * m]` each. */
  readonly rowSums?: boolean
  /** `sum_i c_ij` beside `sum_k (e^T A)_k b_kj`: `[batch * n]` each. */
  readonly columnSums?: boolean
  /** `sum_ij c_ij` alone: `[batch]`; its prediction is the caller's (from the previous layer's `nextChecksum`). */
  readonly total?: boolean
  /** Sum of each register tile beside its product from folded operands (SC'21, section 4.2). */
  readonly tileSums?: 'one-sided' | 'two-sided'
  /** Sum of each register tile beside the same products accumulated a second time. */
  readonly replica?: boolean
  /** Checksum of the output after its activation, for the next layer. */
  readonly nextChecksum?: NextChecksum
  /** Sum, smallest and largest element of each row of A, and its sum of squares where there is one, for data-dependent thresholds. */
  readonly rowStatistics?: boolean
}

export interface MatmulOptions {
  /** `[n]`. */
  readonly bias?: Tensor
  readonly activation?: Activation
  /** Written instead of a new tensor; must have the product's shape and dtype, and share no memory with what the product reads. */
  readonly out?: Tensor
  readonly transposeA?: boolean
  /** Prepared weights were transposed when prepared: to be left out for them, or the same again. */
  readonly transposeB?: boolean
  readonly emit?: Emit
  /** Faults to inject; only an engine created with `instrumented: true` accepts them. */
  readonly faults?: readonly Fault[]
}

export interface Conv2dOptions extends MatmulOptions {
  /** Default [1, 1]. */
  readonly stride?: Pair
  /** Default [0, 0, 0, 0]: [top, bottom, left, right]. */
  readonly pad?: TBLR
  /** Default [1, 1]. */
  readonly dilation?: Pair
  /** Default 1. */
  readonly groups?: number
  /** Layout of input and output; default 'NHWC'. */
  readonly format?: 'NHWC' | 'NCHW'
}

export interface PrepareOptions {
  /** What the weights are for; default 'matmul' (`[k, n]`). 'conv2d' takes `[h, w, i, o]`. */
  readonly kind?: 'matmul' | 'conv2d' | 'matmul-int8'
  readonly transposeB?: boolean
  readonly groups?: number
}

/** Weights in an engine's own layout, with their checksums. They belong to the build that made them. */
export interface PreparedWeights {
  readonly build: string
  readonly kind: 'matmul' | 'conv2d' | 'matmul-int8'
  readonly k: number
  readonly n: number
  readonly groups: number
  /** Memory held, in bytes. */
  readonly bytes: number
  /**
   * Row sums `B e` as the engine uses them: `[groups * k]`; of a batch, of each matrix in turn. May be made anew at each read, in the
   * time of one pass over them.
   *
   * @throws FtError `INVALID_ARGUMENT` after `release`
   */
  readonly rowSums: Float64Array
  /**
   * Set where products with these weights have a replica that is `exact`: `matmul` and `conv2d` of few columns with any `emit`,
   * depthwise `conv2d` with nothing but `emit: { replica: true }`.
   */
  readonly exactReplica?: boolean
  release(): void
}

export interface RowStatistics {
  readonly sum: Float32Array | Float64Array
  readonly min: Float32Array | Float64Array
  readonly max: Float32Array | Float64Array
  /**
   * Sum of squares, where the engine takes it; squares may be float32, so that rows of elements beyond 1e19 have none that is
   * finite, and elements below 1e-19 count as nothing.
   */
  readonly squares?: Float64Array
}

export interface Product {
  readonly output: Tensor
  readonly rowSums?: RowSums
  readonly columnSums?: CheckSums
  readonly total?: Float32Array | Float64Array | Int32Array
  readonly tileSums?: TileSums
  readonly replica?: TileSums
  readonly nextChecksum?: Tensor
  readonly rowStatistics?: RowStatistics
}

/**
 * A matrix-product engine.
 *
 * Shapes: `matmul` takes A `[m, k]` or `[batch, m, k]` and B `[k, n]` or `[batch, k, n]`; `conv2d` takes
 * `[batch, height, width, channels]` and `[h, w, channels / groups, out]`; `matmulInt8` takes int8 or uint8 A and
 * int8 B and gives int32, exact modulo 2^32.
 */
export interface MatmulEngine {
  readonly name: EngineName
  /** Engine and wasm or adapter variant. Thresholds and prepared weights belong to it. */
  readonly build: string
  prepare(weights: Tensor, options?: PrepareOptions): Promise<PreparedWeights>
  matmul(a: Tensor, weights: Tensor | PreparedWeights, options?: MatmulOptions): Promise<Product>
  conv2d(x: Tensor, filter: Tensor | PreparedWeights, options?: Conv2dOptions): Promise<Product>
  matmulInt8(a: Tensor, weights: Tensor | PreparedWeights, options?: MatmulOptions): Promise<Product>
  dispose(): Promise<void>
}

/** An engine whose products need no promise: reference and wasm. */
export interface SyncMatmulEngine extends MatmulEngine {
  prepareSync(weights: Tensor, options?: PrepareOptions): PreparedWeights
  matmulSync(a: Tensor, weights: Tensor | PreparedWeights, options?: MatmulOptions): Product
  conv2dSync(x: Tensor, filter: Tensor | PreparedWeights, options?: Conv2dOptions): Product
  matmulInt8Sync(a: Tensor, weights: Tensor | PreparedWeights, options?: MatmulOptions): Product
}

/** A WebAssembly module on a runtime's memory, instantiated once a thread. */
export interface WasmModule {
  readonly name: string
  /** Exports of the calling thread's instance. */
  readonly exports: Readonly<Record<string, (...args: number[]) => number>>
}

/** Memory and threads for WebAssembly kernels: the wasm engine's own, and those of other packages. */
export interface WasmRuntime {
  readonly memory: WebAssembly.Memory
  /** Threads that `fork` uses, the caller's included; 1 without shared memory. */
  readonly threads: number
  /** Whether relaxed SIMD (fused multiply-add) is on. Rounding differs from strict SIMD. */
  readonly relaxed: boolean
  /** Allocates bytes; default alignment 16. Throws `UNSUPPORTED` when memory cannot grow. Views of `memory.buffer` may be stale afterwards. */
  alloc(bytes: number, align?: number): number
  free(pointer: number): void
  /** Which of a package's builds this runtime takes: shared or unshared memory, strict or relaxed SIMD. */
  readonly variant: WasmVariant
  /** Loads a module that imports `env.memory`. */
  load(name: string, bytes: Uint8Array): WasmModule
  /** Calls `fn` once per element of `argsPerThread` (at most `threads` at a time) and returns when all are done. */
  fork(module: WasmModule, fn: string, argsPerThread: readonly (readonly number[])[]): void
  dispose(): Promise<void>
}

export type WasmVariant = 'simd' | 'relaxed' | 'simd-shared' | 'relaxed-shared'
