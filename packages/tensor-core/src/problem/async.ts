// The promise face of an engine that computes at once.
import type { MatmulEngine, SyncMatmulEngine } from '@ft/core'

export type SyncFace = Pick<SyncMatmulEngine, 'prepareSync' | 'matmulSync' | 'matmulInt8Sync' | 'conv2dSync'>

export function asyncFace(sync: SyncFace): Pick<MatmulEngine, 'prepare' | 'matmul' | 'matmulInt8' | 'conv2d'> {
  return {
    prepare: async (weights, options) => sync.prepareSync(weights, options),
    matmul: async (a, weights, options) => sync.matmulSync(a, weights, options),
    matmulInt8: async (a, weights, options) => sync.matmulInt8Sync(a, weights, options),
    conv2d: async (x, filter, options) => sync.conv2dSync(x, filter, options),
  }
}
