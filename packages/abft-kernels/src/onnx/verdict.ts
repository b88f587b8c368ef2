// From residuals to one small output a layer: how many checks failed, and the worst residual in units of its scale.
import { makeValueInfo } from '@ft/onnx'
import type { Emitter } from './emitter.ts'
import type { PairedResiduals, Residuals } from './site.ts'

export interface Verdict {
  /** Output of two numbers: checks that failed, largest |difference| / scale. */
  readonly output: string
  /** Input with a default: the largest |difference| / scale that passes. */
  readonly threshold: string
}

/** Where a verdict lies in a graph. */
export interface Place extends Verdict {
  /** Output `[2, layers]` that holds this verdict beside others', and its column there. */
  readonly table: string
  readonly column: number
}

/** A check that waits for its verdict. */
export interface Checked {
  readonly id: string
  readonly built: Residuals | PairedResiduals
}

/** Keeps 0 / 0 at 0, and lets an exact check pass at 0. */
const TINY = 1e-30

/**
 * Ends all checks, given in the order of their layers; their nodes go to the end of the graph, the last layer's first.
 *
 * onnxruntime runs a graph backwards from the nodes that nothing reads, the one with the highest number first, and a node's
 * inputs in the same order. With checks in the order of their layers the whole network runs before all of them and keeps
 * every value until then; in this order each check runs as soon as its layer has.
 */
export function addVerdicts(emit: Emitter, checks: readonly Checked[]): Map<string, Place> {
  const { edit } = emit
  const verdicts = new Map<string, Place>()
  const before = edit.graph.node.length
  const parts = segmentsOf(checks).map((segment) => {
    const from = edit.graph.node.length
    const places = segment.map(({ id, built }) => {
      return { output: edit.freshName(`ft_check:${id}`), threshold: addThreshold(emit, id, built.bound) }
    })
    const table = judge(emit, segment, places)
    segment.forEach(({ id }, column) => verdicts.set(id, { ...(places[column] as Verdict), table, column }))
    return edit.graph.node.slice(from)
  })
  edit.graph.node = [...edit.graph.node.slice(0, before), ...parts.reverse().flat()]
  for (const { output, table } of verdicts.values()) for (const name of [output, table]) edit.addOutput(name, 'float32')
  return verdicts
}

/** Layers that follow each other and whose residuals are alike are judged by one set of nodes. */
function segmentsOf(checks: readonly Checked[]): Checked[][] {
  const segments: Checked[][] = []
  for (const check of checks) {
    const last = segments.at(-1)
    if (last && likeness(last[0] as Checked) === likeness(check)) last.push(check)
    else segments.push([check])
  }
  return segments
}

/** Text that is equal for checks that can be judged together. */
function likeness({ id, built }: Checked): string {
  const alone = !('pair' in built) || built.images === undefined
  return alone ? `alone: ${id}` : `${built.rank}: ${built.images}`
}

/** An initialiser that is listed as an input may be given anew with every run, where the runtime's interface allows it. */
function addThreshold({ edit }: Emitter, id: string, bound: number): string {
  const threshold = edit.initializer(`ft_threshold:${id}`, {
    type: 'float32',
    shape: [1],
    data: Float32Array.of(bound + TINY),
  })
  edit.graph.input.push(makeValueInfo(threshold, 'float32', [1]))
  return threshold
}

/** @returns the output that holds the verdicts of the segment's layers */
function judge(emit: Emitter, segment: readonly Checked[], places: readonly Verdict[]): string {
  const [{ built }] = segment as [Checked]
  const parts =
    'pair' in built
      ? judgePairs(
          emit,
          segment.map((check) => (check.built as PairedResiduals).pair),
          places,
        )
      : judgeOne(emit, built, places[0] as Verdict)
  const outputs = places.map(({ output }) => output)
  const table = outputs.length === 1 ? (outputs[0] as string) : emit.edit.freshName('ft_checks')
  emit.edit.node('Concat', parts, { outputs: [table], attributes: { axis: { int: 0 } } })
  if (outputs.length > 1) emit.split(table, 1, outputs)
  return table
}

/** Failures and worst of residuals of any shape. One that is not a number fails: what is counted is "not below". */
function judgeOne(emit: Emitter, { difference, scale }: Residuals, { threshold }: Verdict): string[] {
  const size = emit.node('Abs', [difference])
  const ratio =
    scale === undefined ? size : emit.node('Div', [size, emit.node('Add', [scale, emit.floats('ft_tiny', [], [TINY])])])
  return [emit.reduce('ReduceSum', failures(emit, ratio, threshold)), emit.reduce('ReduceMax', ratio)]
}

/** The same for one residual an image and layer, in a table `[images, layers, 2]`. */
function judgePairs(emit: Emitter, pairs: readonly string[], places: readonly Verdict[]): string[] {
  // Their order in the graph is what decides when the layers' checks run, as above.
  const sizes = [...pairs].reverse().map((pair) => emit.node('Abs', [pair]))
  const table = emit.node('Reshape', [
    emit.concat(sizes.reverse(), 1),
    emit.stored('ft_table', { type: 'int64', shape: [3], data: BigInt64Array.of(0n, BigInt(pairs.length), 2n) }),
  ])
  const column = (index: number) => emit.pick(table, { axis: 2, index, keep: false })
  const ratio = emit.node('Div', [column(0), emit.node('Add', [column(1), emit.floats('ft_tiny', [], [TINY])])])
  const thresholds = emit.concat(
    places.map(({ threshold }) => threshold),
    0,
  )
  return [emit.reduce('ReduceSum', failures(emit, ratio, thresholds), [0]), emit.reduce('ReduceMax', ratio, [0])]
}

function failures(emit: Emitter, ratio: string, threshold: string): string {
  return emit.cast(emit.node('Not', [emit.node('Less', [ratio, threshold])]), 'float32')
}
