// The same kernels with faults inside: the one constant that turns them on, and the same entry.
// @ts-ignore: decorator
@global
export const FT_INSTRUMENTED: bool = true
export * from './gemm'
