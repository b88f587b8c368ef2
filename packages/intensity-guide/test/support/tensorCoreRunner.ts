// A small runner on the wasm engine: products with the sums of each scheme, compared and no more.
import type { Emit, LayerRunner, LinearLayer, ProtectionScheme, Tensor } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { createWasmEngine } from '@ft/tensor-core/wasm'

const emits: Partial<Record<ProtectionScheme, Emit>> = {
  none: {},
  global: { total: true },
  row: { rowSums: true },
  column: { columnSums: true },
  'thread-one-sided': { tileSums: 'one-sided' },
  replication: { replica: true },
}

export function tensorCoreRunner(): LayerRunner & { dispose(): Promise<void> } {
  const engine = createWasmEngine({ threads: 1 })
  let latest: { key: string; a: Tensor; b: Tensor } | undefined
  return {
    device: 'this machine',
    build: engine.build,
    schemes: (layer: LinearLayer) => (layer.op.kind === 'matmul' ? (Object.keys(emits) as ProtectionScheme[]) : []),
    smallestDetectable: (_, scheme) => (scheme === 'none' ? Infinity : 1e-5),
    async prepare({ m, n, k }, scheme, { seed }) {
      const key = `${m}x${n}x${k}`
      if (latest?.key !== key) {
        const random = createRandom(seed)
        const normal = (shape: [number, number]): Tensor => ({
          data: random.fillNormal(new Float32Array(shape[0] * shape[1])),
          shape,
          dtype: 'float32',
        })
        latest = { key, a: normal([m, k]), b: normal([k, n]) }
      }
      const { a, b } = latest
      const weights = await engine.prepare(b)
      const emit = emits[scheme] ?? {}
      return {
        run: async () => void (await engine.matmul(a, weights, { emit })),
        release: () => weights.release(),
      }
    },
    dispose: () => engine.dispose(),
  }
}
