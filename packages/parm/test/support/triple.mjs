// A worker module: y = 3 x for FP32 [b, 2], 'echo' semantics for BYTES when `options.bytes` is set; a row that begins with
// 666 crashes the process, one with 555 is never answered. `delayMs` holds every answer; `headers` answers with what headers
// came, `parameters` with what the request says to the model, `tensorParameters` with the scale that it says of x and of y. `never`: it never gets ready.
export default function create(options = {}) {
  if (options.never) return new Promise(() => {})
  const form = options.bytes ? { datatype: 'BYTES', shape: [-1] } : { datatype: 'FP32', shape: [-1, 2] }
  return {
    metadata: {
      platform: 'triple',
      inputs: [{ name: 'x', ...form }],
      outputs: [{ name: 'y', ...form }],
      ...(options.properties ? { properties: options.properties } : {}),
    },
    infer: async ([x], { headers, parameters, outputs }) => {
      if (options.tensorParameters) {
        const said = Float32Array.of(x.parameters?.scale ?? 0, outputs?.[0]?.parameters?.scale ?? 0)
        return [{ ...x, name: 'y', bytes: new Uint8Array(said.buffer) }]
      }
      if (options.parameters) {
        const said = Float32Array.of(parameters.temperature ?? -1, Object.keys(parameters).length)
        return [{ ...x, name: 'y', bytes: new Uint8Array(said.buffer) }]
      }
      if (options.bytes) return [{ ...x, name: 'y' }]
      const values = new Float32Array(new Uint8Array(x.bytes).buffer)
      const begins = (value) => values.some((x, i) => i % 2 === 0 && x === value)
      if (begins(666)) process.kill(process.pid, 'SIGKILL')
      if (begins(555)) return new Promise(() => {})
      if (options.delayMs) await new Promise((resolve) => setTimeout(resolve, options.delayMs))
      if (options.headers) {
        const said = Float32Array.of((headers.traceparent ?? '').length, Number(headers['x-tenant']))
        return [{ ...x, name: 'y', bytes: new Uint8Array(said.buffer) }]
      }
      if (options.garbage) return [{ name: 'y', datatype: 'FP32', shape: [1, 1], bytes: new Uint8Array(4) }]
      return [{ ...x, name: 'y', bytes: new Uint8Array(values.map((value) => 3 * value).buffer) }]
    },
  }
}
