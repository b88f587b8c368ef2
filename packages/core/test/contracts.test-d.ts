// The contracts that the packages agree on, frozen: a change here is a change of every package.
import { describe, expectTypeOf, it } from 'vitest'
import type {
  Activation,
  CheckSums,
  Conv2dOptions,
  DType,
  Emit,
  EngineName,
  Fault,
  FaultEffect,
  FaultList,
  FaultSite,
  FtErrorCode,
  HWIO,
  Interval,
  LayerRunner,
  LinearLayer,
  LongRunning,
  MatmulEngine,
  MatmulOptions,
  NextChecksum,
  NHWC,
  Pair,
  PlannedLayer,
  PlanTarget,
  PreparedWeights,
  PrepareOptions,
  Product,
  Progress,
  ProtectionPlan,
  ProtectionScheme,
  Releasable,
  RowStatistics,
  RowSums,
  SyncMatmulEngine,
  TBLR,
  Tensor,
  TileSums,
  TypedArray,
  WasmModule,
  WasmRuntime,
  WasmVariant,
  FtError,
} from '../src/index.ts'
import { isFtError, type Argument } from '../src/index.ts'

type Sums = Float32Array | Float64Array | Int32Array

describe('errors', () => {
  it('have a closed set of codes', () => {
    expectTypeOf<FtErrorCode>().toEqualTypeOf<
      | 'INVALID_ARGUMENT'
      | 'SHAPE_MISMATCH'
      | 'UNSUPPORTED'
      | 'MISSING_PEER'
      | 'ENGINE_UNAVAILABLE'
      | 'CORRUPT_DATA'
      | 'CHECKSUM_MISMATCH'
      | 'VERSION_UNSUPPORTED'
      | 'FINGERPRINT_MISMATCH'
      | 'OVERLOADED'
      | 'DEADLINE_EXCEEDED'
      | 'ABORTED'
      | 'UNRECOVERABLE'
      | 'FAULT_DETECTED'
      | 'IO'
    >()
    expectTypeOf<FtError['code']>().toEqualTypeOf<FtErrorCode>()
    expectTypeOf<FtError['details']>().toEqualTypeOf<Readonly<Record<string, unknown>>>()
    expectTypeOf(isFtError).toEqualTypeOf<(value: unknown, code?: FtErrorCode) => value is FtError>()
    expectTypeOf<Argument>().toEqualTypeOf<{ readonly where: string; readonly argument: string }>()
  })
})

describe('tensors', () => {
  it('are plain and structural', () => {
    expectTypeOf<Tensor>().toEqualTypeOf<{
      readonly data: TypedArray
      readonly shape: readonly number[]
      readonly dtype: DType
    }>()
    expectTypeOf<DType>().toEqualTypeOf<
      | 'float64'
      | 'float32'
      | 'float16'
      | 'bfloat16'
      | 'int32'
      | 'uint32'
      | 'int16'
      | 'uint16'
      | 'int8'
      | 'uint8'
      | 'bool'
    >()
    expectTypeOf<TypedArray>().toEqualTypeOf<
      Float64Array | Float32Array | Int32Array | Uint32Array | Int16Array | Uint16Array | Int8Array | Uint8Array
    >()
    expectTypeOf<Pair>().toEqualTypeOf<readonly [number, number]>()
    expectTypeOf<TBLR>().toEqualTypeOf<readonly [number, number, number, number]>()
    expectTypeOf<NHWC>().toEqualTypeOf<readonly [number, number, number, number]>()
    expectTypeOf<HWIO>().toEqualTypeOf<readonly [number, number, number, number]>()
  })
})

describe('common types', () => {
  it('are what options and results share', () => {
    expectTypeOf<Interval>().toEqualTypeOf<{
      readonly value: number
      readonly low: number
      readonly high: number
      readonly confidence: number
      readonly n: number
    }>()
    expectTypeOf<Progress>().toEqualTypeOf<{
      readonly phase: string
      readonly done: number
      readonly total: number
      readonly note?: string
    }>()
    expectTypeOf<LongRunning>().toEqualTypeOf<{
      readonly signal?: AbortSignal
      readonly onProgress?: (progress: Progress) => void
    }>()
    expectTypeOf<Releasable>().toEqualTypeOf<{ release(): void }>()
  })
})

describe('layers and plans', () => {
  it('name the schemes', () => {
    expectTypeOf<ProtectionScheme>().toEqualTypeOf<
      'none' | 'global' | 'row' | 'column' | 'row-column' | 'thread-one-sided' | 'thread-two-sided' | 'replication'
    >()
    expectTypeOf<PlanTarget>().toEqualTypeOf<'wasm' | 'webgpu' | 'gpujs' | 'onnx' | 'tfjs'>()
  })

  it('describe a product', () => {
    expectTypeOf<LinearLayer>().toEqualTypeOf<{
      readonly id: string
      readonly m: number
      readonly n: number
      readonly k: number
      readonly count: number
      readonly dtype: DType
      readonly op:
        | { readonly kind: 'matmul'; readonly batch: number }
        | {
            readonly kind: 'conv2d'
            readonly x: NHWC
            readonly filter: HWIO
            readonly stride: Pair
            readonly pad: TBLR
            readonly dilation: Pair
            readonly groups: number
          }
      readonly activation?: string
      readonly next?: string
    }>()
  })

  it('measure and choose', () => {
    expectTypeOf<LayerRunner>().toEqualTypeOf<{
      readonly device: string
      readonly build: string
      schemes(layer: LinearLayer): ProtectionScheme[]
      prepare(
        layer: LinearLayer,
        scheme: ProtectionScheme,
        options: { seed: number; chained: boolean },
      ): Promise<{ run(): Promise<void>; release(): void }>
      smallestDetectable(layer: LinearLayer, scheme: ProtectionScheme): number
    }>()
    expectTypeOf<PlannedLayer>().toEqualTypeOf<{
      readonly id: string
      readonly layer: LinearLayer
      readonly scheme: ProtectionScheme
      readonly intensity: number
      readonly bound: 'compute' | 'memory' | 'measure'
      readonly predictedOverhead: number
      readonly measured?: Interval
      readonly smallestDetectable: number
      readonly alternatives: readonly { readonly scheme: ProtectionScheme; readonly overhead: number }[]
    }>()
    expectTypeOf<ProtectionPlan>().toEqualTypeOf<{
      readonly schema: 'ft.plan'
      readonly version: 1
      readonly target: PlanTarget
      readonly model: { readonly name: string; readonly fingerprint: string }
      readonly device: string
      readonly layers: readonly PlannedLayer[]
    }>()
  })
})

describe('faults', () => {
  it('have a site, an effect and a life', () => {
    expectTypeOf<FaultSite>().toEqualTypeOf<
      | { readonly kind: 'operand'; readonly row: number; readonly step: number }
      | { readonly kind: 'packed-weight'; readonly step: number; readonly column: number }
      | { readonly kind: 'accumulator'; readonly row: number; readonly column: number; readonly step: number }
      | { readonly kind: 'output'; readonly row: number; readonly column: number }
      | { readonly kind: 'checksum'; readonly side: 'actual' | 'expected'; readonly index: number }
      | { readonly kind: 'index'; readonly position: number }
    >()
    expectTypeOf<FaultEffect>().toEqualTypeOf<
      | { readonly kind: 'flip'; readonly bits: readonly number[] }
      | { readonly kind: 'stuck'; readonly bit: number; readonly at: 0 | 1 }
      | { readonly kind: 'carry'; readonly bit: number; readonly sign: 1 | -1 }
      | { readonly kind: 'set'; readonly value: number }
      | { readonly kind: 'add'; readonly value: number }
      | { readonly kind: 'drop-term' }
      | { readonly kind: 'double-term' }
    >()
    expectTypeOf<Fault>().toEqualTypeOf<{
      readonly layer?: string
      readonly site: FaultSite
      readonly effect: FaultEffect
      readonly persistent?: boolean
      readonly weight?: number
      readonly event?: number
    }>()
    expectTypeOf<FaultList>().toEqualTypeOf<{
      readonly schema: 'ft.faults'
      readonly version: 1
      readonly seed: number
      readonly faults: readonly Fault[]
    }>()
  })
})

describe('engines', () => {
  it('take operands and options', () => {
    expectTypeOf<EngineName>().toEqualTypeOf<'reference' | 'wasm' | 'webgpu' | 'gpujs'>()
    expectTypeOf<Activation>().toEqualTypeOf<'relu' | 'gelu'>()
    expectTypeOf<MatmulOptions>().toEqualTypeOf<{
      readonly bias?: Tensor
      readonly activation?: Activation
      readonly out?: Tensor
      readonly transposeA?: boolean
      readonly transposeB?: boolean
      readonly emit?: Emit
      readonly faults?: readonly Fault[]
    }>()
    expectTypeOf<Conv2dOptions>().toExtend<MatmulOptions>()
    expectTypeOf<Omit<Conv2dOptions, keyof MatmulOptions>>().toEqualTypeOf<{
      readonly stride?: Pair
      readonly pad?: TBLR
      readonly dilation?: Pair
      readonly groups?: number
      readonly format?: 'NHWC' | 'NCHW'
    }>()
    expectTypeOf<PrepareOptions>().toEqualTypeOf<{
      readonly kind?: 'matmul' | 'conv2d' | 'matmul-int8'
      readonly transposeB?: boolean
      readonly groups?: number
    }>()
    expectTypeOf<PreparedWeights>().toEqualTypeOf<{
      readonly build: string
      readonly kind: 'matmul' | 'conv2d' | 'matmul-int8'
      readonly k: number
      readonly n: number
      readonly groups: number
      readonly bytes: number
      readonly rowSums: Float64Array
      readonly exactReplica?: boolean
      release(): void
    }>()
  })

  it('emit what the schemes need', () => {
    expectTypeOf<Emit>().toEqualTypeOf<{
      readonly rowSums?: boolean
      readonly columnSums?: boolean
      readonly total?: boolean
      readonly tileSums?: 'one-sided' | 'two-sided'
      readonly replica?: boolean
      readonly nextChecksum?: NextChecksum
      readonly rowStatistics?: boolean
    }>()
    expectTypeOf<NextChecksum>().toEqualTypeOf<
      | { readonly kind: 'matmul' }
      | {
          readonly kind: 'conv2d'
          readonly kernel: Pair
          readonly stride: Pair
          readonly pad: TBLR
          readonly dilation: Pair
        }
    >()
    expectTypeOf<CheckSums>().toEqualTypeOf<{ readonly actual: Sums; readonly expected: Sums }>()
    // Differs: the first contract had one sum a row, whose noise grows with the square root of n.
    expectTypeOf<RowSums>().toExtend<CheckSums>()
    expectTypeOf<Omit<RowSums, keyof CheckSums>>().toEqualTypeOf<{
      readonly ranges: number
      readonly rangeColumns: number
    }>()
    expectTypeOf<TileSums>().toExtend<CheckSums>()
    expectTypeOf<Omit<TileSums, keyof CheckSums>>().toEqualTypeOf<{
      readonly tileRows: number
      readonly tileColumns: number
      readonly grid: Pair
      readonly exact?: boolean
    }>()
    expectTypeOf<RowStatistics>().toEqualTypeOf<{
      readonly sum: Float32Array | Float64Array
      readonly min: Float32Array | Float64Array
      readonly max: Float32Array | Float64Array
      readonly squares?: Float64Array
    }>()
    expectTypeOf<Product>().toEqualTypeOf<{
      readonly output: Tensor
      readonly rowSums?: RowSums
      readonly columnSums?: CheckSums
      readonly total?: Sums
      readonly tileSums?: TileSums
      readonly replica?: TileSums
      readonly nextChecksum?: Tensor
      readonly rowStatistics?: RowStatistics
    }>()
  })

  it('compute, with a promise or without', () => {
    type Weights = Tensor | PreparedWeights
    expectTypeOf<MatmulEngine>().toEqualTypeOf<{
      readonly name: EngineName
      readonly build: string
      prepare(weights: Tensor, options?: PrepareOptions): Promise<PreparedWeights>
      matmul(a: Tensor, weights: Weights, options?: MatmulOptions): Promise<Product>
      conv2d(x: Tensor, filter: Weights, options?: Conv2dOptions): Promise<Product>
      matmulInt8(a: Tensor, weights: Weights, options?: MatmulOptions): Promise<Product>
      dispose(): Promise<void>
    }>()
    expectTypeOf<SyncMatmulEngine>().toExtend<MatmulEngine>()
    expectTypeOf<Omit<SyncMatmulEngine, keyof MatmulEngine>>().toEqualTypeOf<{
      prepareSync(weights: Tensor, options?: PrepareOptions): PreparedWeights
      matmulSync(a: Tensor, weights: Weights, options?: MatmulOptions): Product
      conv2dSync(x: Tensor, filter: Weights, options?: Conv2dOptions): Product
      matmulInt8Sync(a: Tensor, weights: Weights, options?: MatmulOptions): Product
    }>()
  })

  it('lend their memory and threads', () => {
    expectTypeOf<WasmVariant>().toEqualTypeOf<'simd' | 'relaxed' | 'simd-shared' | 'relaxed-shared'>()
    expectTypeOf<WasmModule>().toEqualTypeOf<{
      readonly name: string
      readonly exports: Readonly<Record<string, (...args: number[]) => number>>
    }>()
    expectTypeOf<WasmRuntime>().toEqualTypeOf<{
      readonly memory: WebAssembly.Memory
      readonly threads: number
      readonly relaxed: boolean
      alloc(bytes: number, align?: number): number
      free(pointer: number): void
      readonly variant: WasmVariant
      load(name: string, bytes: Uint8Array): WasmModule
      fork(module: WasmModule, fn: string, argsPerThread: readonly (readonly number[])[]): void
      dispose(): Promise<void>
    }>()
  })
})
