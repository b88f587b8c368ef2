export type * from './types/index.ts'
export { FtError, isFtError, throwIfAborted, type FtErrorCode } from './errors.ts'
