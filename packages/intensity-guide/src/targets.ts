// Which schemes each place that runs a plan has.
import type { PlanTarget, ProtectionScheme } from '@ft/core'

/** Schemes that each target can run, cheapest idea first. */
export const targetSchemes: Readonly<Record<PlanTarget, readonly ProtectionScheme[]>> = {
  wasm: ['global', 'row', 'column', 'row-column', 'thread-one-sided', 'thread-two-sided', 'replication'],
  webgpu: ['global', 'row', 'column', 'row-column', 'thread-one-sided', 'thread-two-sided', 'replication'],
  gpujs: ['row', 'thread-one-sided', 'replication'],
  onnx: ['global', 'row', 'replication'],
  tfjs: ['global', 'row', 'replication'],
}
