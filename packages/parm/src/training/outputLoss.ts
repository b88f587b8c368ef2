// How far outputs are from their targets, and the gradient of that, where TensorFlow.js is not asked.

/**
 * Mean over all elements of d^2 ('squared') or of Huber's d^2 / 2 below 1 and |d| - 1/2 above ('huber'), d = outputs -
 * targets.
 */
export function outputLoss(
  kind: 'squared' | 'huber',
  { outputs, targets }: { readonly outputs: Float32Array; readonly targets: Float32Array },
): { readonly loss: number; readonly gradient: Float32Array } {
  const gradient = new Float32Array(outputs.length)
  let total = 0
  for (let i = 0; i < outputs.length; i++) {
    const d = (outputs[i] as number) - (targets[i] as number)
    const size = Math.abs(d)
    total += kind === 'squared' ? d * d : size <= 1 ? (d * d) / 2 : size - 0.5
    gradient[i] = (kind === 'squared' ? 2 * d : Math.max(-1, Math.min(1, d))) / outputs.length
  }
  return { loss: total / outputs.length, gradient }
}
