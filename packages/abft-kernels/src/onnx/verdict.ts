// From residuals to one small output a layer: how many checks failed, and the worst residual in units of its scale.
import { makeValueInfo } from '@ft/onnx'
import type { Emitter } from './emitter.ts'
import type { Residuals } from './site.ts'

export interface Verdict {
  /** Output of two numbers: checks that failed, largest |difference| / scale. */
  readonly output: string
  /** Input with a default: the largest |difference| / scale that passes. */
  readonly threshold: string
}

/** Keeps 0 / 0 at 0, and lets an exact check pass at 0. */
const TINY = 1e-30

/** Ends a check. A residual that is not a number fails: what is counted is "not below the threshold". */
export function addVerdict(emit: Emitter, id: string, { difference, scale, bound }: Residuals): Verdict {
  const { edit } = emit
  const size = emit.node('Abs', [difference])
  const ratio =
    scale === undefined ? size : emit.node('Div', [size, emit.node('Add', [scale, emit.floats('ft_tiny', [], [TINY])])])
  const threshold = edit.initializer(`ft_threshold:${id}`, {
    type: 'float32',
    shape: [],
    data: Float32Array.of(bound + TINY),
  })
  // An initialiser that is listed as an input may be given anew with every run, where the runtime's interface allows it.
  edit.graph.input.push(makeValueInfo(threshold, 'float32', []))
  const failed = emit.cast(emit.node('Not', [emit.node('Less', [ratio, threshold])]), 'float32')
  const output = edit.freshName(`ft_check:${id}`)
  const parts = [emit.reduce('ReduceSum', failed), emit.reduce('ReduceMax', ratio)]
  edit.node('Concat', parts, { outputs: [output], attributes: { axis: { int: 0 } } })
  edit.addOutput(output, 'float32')
  return { output, threshold }
}
