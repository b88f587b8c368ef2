// The trained network as an ONNX model with checks written into its graph, run by onnxruntime where it is installed: faults
// in stored weights, which the runtime itself does not notice.
import type { Fault, Interval } from '@ft/core'
import { createRandom } from '@ft/core/random'
import { auc, wilson } from '@ft/core/statistics'
import { createGuardedSession, injectOnnx, protectOnnx } from '@ft/abft-kernels/onnx'
import { graphBuilder, serializeModel } from '@ft/onnx'
import type * as Runtime from 'onnxruntime-node'
import { exactly, type Claim, type StepContext } from '../story.ts'
import type { TrainedNetwork } from '../trainNetwork.ts'

const BATCH = 1024
/** Errors alone: the runtime remarks on every threshold that stays adjustable. */
const QUIET = { logSeverityLevel: 3 } as const

export async function protectExported(
  { options, output, flights }: StepContext,
  trained: TrainedNetwork,
): Promise<Claim[]> {
  const runtime = await loadRuntime()
  if (runtime === undefined) {
    output.text('onnxruntime-node is not installed here: the exported model is not run.')
    return []
  }
  const { task } = await flights()
  const plain = exportNetwork(trained)
  const { bytes, protected: layers } = protectOnnx(plain, { scheme: 'row' })
  const input = (row: number) => {
    const { data, width } = trained.dense
    return new runtime.Tensor('float32', data.slice(row * width, (row + BATCH) * width), [BATCH, width])
  }
  const { start, end } = task.split.test
  const batches = Math.floor((end - start) / BATCH)

  // Clean runs: alarms, and scores of all whole batches
  const guarded = await createGuardedSession(runtime, bytes, { session: QUIET })
  const bare = await runtime.InferenceSession.create(plain)
  let alarms = 0
  let unlike = 0
  const scores: number[] = []
  for (let batch = 0; batch < batches; batch++) {
    const flight = input(start + batch * BATCH)
    const { outputs, report } = await guarded.run({ flight })
    if (report.status !== 'clean') alarms++
    const [own, other] = [
      outputs['score']?.data as Float32Array,
      (await bare.run({ flight }))['score']?.data as Float32Array,
    ]
    own.forEach((value, i) => {
      // The same products in another graph: rounding may differ, nothing more
      if (!(Math.abs(value - (other[i] as number)) <= 1e-4 * Math.max(1, Math.abs(value)))) unlike++
      scores.push(value)
    })
  }

  const trials = options.quick ? 12 : 60
  const counts = await strikeWeights(runtime, {
    plain,
    bytes,
    layers,
    input,
    trials,
    seed: options.seed,
    rows: [start, batches],
  })
  const found = wilson({ successes: counts.criticalFound, trials: Math.max(1, counts.critical) })
  const labels = task.label.subarray(start, start + batches * BATCH)
  output.text(
    `Exported to ONNX, checks written into the graph, run by onnxruntime ${runtime.env.versions.node ?? ''}: ${layers.length} products checked by rows; ` +
      `AUC ${auc({ scores, labels }).toFixed(4)}. One bit of one stored weight is flipped in the model file, ${trials} times.`,
  )
  output.table(
    [
      { what: 'models with a flipped weight', count: trials },
      { what: 'critical: a probability moved by more than 0.01', count: counts.critical },
      { what: 'critical and found', count: counts.criticalFound, share: found },
      { what: 'found in all', count: counts.found },
      { what: `false alarms in ${batches} clean runs`, count: alarms },
      { what: 'scores unlike the unprotected model’s', count: unlike },
    ],
    [
      { header: 'what', value: (row) => row.what },
      { header: 'count', value: (row) => row.count, format: 'plain' },
      { header: 'share', value: (row) => row.share, format: 'percent' },
    ],
  )
  output.result({ step: 'protect', engine: 'onnxruntime', ...counts, trials, alarms, unlike })
  return claims({ found, alarms, unlike })
}

function claims({ found, alarms, unlike }: { found: Interval; alarms: number; unlike: number }): Claim[] {
  return [
    {
      text: 'in onnxruntime more than half of the critical flips of stored weights are found',
      measured: found,
      above: 0.5,
    },
    { text: 'the protected ONNX model raises no alarm on clean flights (runs)', measured: exactly(alarms), below: 0.5 },
    { text: 'and gives the unprotected model’s scores (scores that differ)', measured: exactly(unlike), below: 0.5 },
  ]
}

async function loadRuntime(): Promise<typeof Runtime | undefined> {
  try {
    const loaded = (await import('onnxruntime-node')) as typeof Runtime & { default?: typeof Runtime }
    return loaded.default ?? loaded
  } catch {
    return undefined
  }
}

/** Input 'flight' [b, width], output 'score' [b, 1]: log odds. */
function exportNetwork({ layers, dense }: TrainedNetwork): Uint8Array {
  const b = graphBuilder({ name: 'late-arrival' })
  let x = b.input('flight', 'float32', ['batch', dense.width])
  layers.forEach(({ weights, bias }, i) => {
    const last = i === layers.length - 1
    const [w, own] = [b.initializer(`w${i}`, weights), b.initializer(`b${i}`, bias)]
    const [product] = [b.node('MatMul', [x, w], { outputs: [`product${i}`] })]
    const sum = b.node('Add', [product, own], { outputs: [last ? 'score' : `sum${i}`] })
    x = last ? sum : b.node('Relu', [sum], { outputs: [`hidden${i}`] })
  })
  b.output(x, 'float32', ['batch', 1])
  return serializeModel(b.build())
}

interface Strike {
  readonly plain: Uint8Array
  readonly bytes: Uint8Array
  readonly layers: readonly { readonly id: string }[]
  readonly input: (row: number) => Runtime.Tensor
  readonly trials: number
  readonly seed: number
  /** First test row, and batches of them. */
  readonly rows: readonly [number, number]
}

async function strikeWeights(runtime: typeof Runtime, o: Strike) {
  const random = createRandom(o.seed).stream('protect exported')
  const counts = { critical: 0, criticalFound: 0, found: 0 }
  const clean = await runtime.InferenceSession.create(o.plain)
  for (let trial = 0; trial < o.trials; trial++) {
    const layer = random.integer(0, o.layers.length - 1)
    const id = `product${layer}`
    const fault: Fault = {
      layer: id,
      site: { kind: 'packed-weight', step: random.integer(0, 15), column: 0 },
      effect: { kind: 'flip', bits: [random.integer(20, 31)] },
    }
    const flight = o.input(o.rows[0] + BATCH * random.integer(0, o.rows[1] - 1))
    const before = (await clean.run({ flight }))['score']?.data as Float32Array
    const hurt = await createGuardedSession(runtime, injectOnnx(o.bytes, [fault]), {
      onFault: 'report',
      session: QUIET,
    })
    const { outputs, report } = await hurt.run({ flight })
    const after = outputs['score']?.data as Float32Array
    const critical = before.some(
      (value, i) => !(Math.abs(probability(value) - probability(after[i] as number)) <= 0.01),
    )
    const found = report.status !== 'clean'
    if (found) counts.found++
    if (critical) counts.critical++
    if (critical && found) counts.criticalFound++
  }
  return counts
}

const probability = (score: number): number => 1 / (1 + Math.exp(-score))
