// Shares of classes from logits.

/** softmax and its logarithm, of one row. */
export function softmax(values: Float32Array): { readonly shares: Float64Array; readonly logs: Float64Array } {
  const largest = Math.max(...values)
  const shifted = Float64Array.from(values, (value) => value - largest)
  const total = Math.log(shifted.reduce((sum, value) => sum + Math.exp(value), 0))
  const logs = shifted.map((value) => value - total)
  return { logs, shares: logs.map((log) => Math.exp(log)) }
}
