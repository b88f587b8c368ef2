// A TensorFlow.js model whose products check themselves: while it predicts, every kernel of a product that it calls is
// followed by its check on the same backend; the few numbers that say whether checks held are read once, at the end.
import { assertOneOf, FtError, type ProtectionPlan } from '@ft/core'
import { unitRoundoff } from '@ft/core/formats'
import { checkCall, hasBound, isDepthwise, type ColumnSums, type KernelCall, type TfjsScheme } from './checks.ts'
import {
  keep,
  tidy,
  type Tf,
  type TfAttributes,
  type TfEngine,
  type TfInputs,
  type TfModel,
  type TfModule,
  type TfTensor,
} from './surface.ts'
import { computedSums, storedSums, weightsOf, type StoredSums } from './weights.ts'

export interface TfjsGuardOptions {
  /** One scheme for all products (default 'row'), or a plan of `@ft/intensity-guide` for target 'tfjs'. */
  readonly plan?: { readonly scheme: TfjsScheme } | ProtectionPlan
  /** 'correct' (default) runs again, 'report' leaves the outputs, 'throw' raises `FAULT_DETECTED` when running again did not help. */
  readonly onFault?: 'correct' | 'report' | 'throw'
  /** Further runs after one that failed a check. Default 1. */
  readonly retries?: number
}

export interface TfjsGuardReport {
  /**
   * 'corrected': a later run passed every check. 'uncorrectable': every run failed. 'detected': left as it was
   * (`onFault: 'report'`), or an input is not finite.
   */
  readonly status: 'clean' | 'corrected' | 'detected' | 'uncorrectable'
  /** Products whose checks failed in the first run: how many checks, and the worst residual in units of its threshold. */
  readonly detections: readonly { readonly id: string; readonly failed: number; readonly residual: number }[]
  /** Products checked in a run. */
  readonly checks: number
  readonly runs: number
  /** Whether an input holds NaN or infinity: a fault of the input, not of the computation. */
  readonly badInput: boolean
  /** Products that ran without a check, and why. */
  readonly unprotected: readonly { readonly id: string; readonly reason: string }[]
}

export interface TfjsGuarded<T> {
  /** What the model's own `predict` gives; the caller disposes it. */
  readonly outputs: T
  readonly report: TfjsGuardReport
}

export interface ProtectedTfjsModel<T> {
  /** Stored matrices and filters whose column sums are known, by layer. */
  readonly layers: readonly string[]
  /**
   * Runs the model, checks every product, and runs again when a check failed.
   *
   * @throws FtError `FAULT_DETECTED` with `onFault: 'throw'`
   */
  predict(inputs: TfTensor | readonly TfTensor[] | Readonly<Record<string, TfTensor>>): Promise<TfjsGuarded<T>>
  /** Frees the column sums; the model stays the caller's. */
  dispose(): void
}

/**
 * Protects a LayersModel or GraphModel on whichever backend is active.
 *
 * Products are MatMul and Conv2D in every form that TensorFlow.js runs them (dense, recurrent, 1-D and separable layers
 * included); depthwise convolutions are run twice and compared, whatever the scheme. Sums are compared before the
 * activation, which then runs as a pass of its own. Thresholds are bounds of rounding (Higham 2002, section 3.1): no clean
 * run fails. Weights are summed here, once, in float64: protect after training and loading, and again when they change.
 *
 * Cost of a call, `row`: two products of one column, the magnitudes of its input and a sum over its output; `global`: the
 * same and three sums more; `replication`: the product again. Tested on the cpu and wasm backends.
 *
 * @param module - the module `@tensorflow/tfjs`, or tfjs-core with a backend
 * @throws FtError `INVALID_ARGUMENT` for a plan of another target or an unknown scheme, `FINGERPRINT_MISMATCH` for a plan
 * with none of the model's layers
 */
export async function protectTfjs<M extends TfModel>(
  module: TfModule,
  model: M,
  options: TfjsGuardOptions = {},
): Promise<ProtectedTfjsModel<ReturnType<M['predict']>>> {
  // Operations are generic over their tensors, which no structural type can name.
  const tf = module as Tf
  const { plan = { scheme: 'row' as const }, onFault = 'correct', retries = 1 } = options
  assertOneOf(onFault, { where: 'protectTfjs', argument: 'options.onFault', values: ['correct', 'report', 'throw'] })
  const weights = weightsOf(model)
  const schemeOf = planned(
    plan,
    weights.map(({ id }) => id),
  )
  const known = new Map<object, StoredSums>()
  for (const weight of weights) known.set(weight.tensor.dataId, await storedSums(tf, weight))
  const run = (inputs: unknown) => checkedRun<ReturnType<M['predict']>>(tf, { model, inputs, known, schemeOf })

  return {
    layers: weights.map(({ id }) => id),
    async predict(inputs) {
      const badInput = !(await allFinite(tf, inputs))
      const first = await run(inputs)
      let last = first
      let runs = 1
      const again = onFault === 'report' || badInput ? 0 : retries
      while (last.detections.length > 0 && runs <= again) {
        disposeAll(last.outputs)
        last = await run(inputs)
        runs++
      }
      const failed = last.detections.length > 0
      const report: TfjsGuardReport = {
        status: statusOf({ alarmed: first.detections.length > 0, failed, left: again === 0 }),
        detections: first.detections,
        checks: first.checks,
        runs,
        badInput,
        unprotected: first.unprotected,
      }
      if (onFault === 'throw' && failed) {
        disposeAll(last.outputs)
        const [worst] = last.detections
        throw new FtError(
          'FAULT_DETECTED',
          `protectTfjs: ${last.detections.length} products failed their checks in every of ${runs} runs; first: ${worst?.id}`,
          { report },
        )
      }
      return { outputs: last.outputs, report }
    },
    dispose() {
      for (const sums of known.values()) sums.dispose()
      known.clear()
    },
  }
}

function statusOf(o: { alarmed: boolean; failed: boolean; left: boolean }): TfjsGuardReport['status'] {
  if (!o.alarmed) return 'clean'
  if (!o.failed) return 'corrected'
  return o.left ? 'detected' : 'uncorrectable'
}

const schemes: readonly TfjsScheme[] = ['global', 'row', 'replication']

/** The scheme of a product by its layer's name; undefined where the plan leaves it out. */
function planned(
  plan: NonNullable<TfjsGuardOptions['plan']>,
  ids: readonly string[],
): (id: string) => TfjsScheme | undefined {
  if (!('layers' in plan)) {
    const { scheme } = plan
    assertOneOf(scheme, { where: 'protectTfjs', argument: 'options.plan.scheme', values: schemes })
    return () => scheme
  }
  if (plan.target !== 'tfjs')
    throw new FtError(
      'INVALID_ARGUMENT',
      `protectTfjs: \`plan.target\` must be 'tfjs', got '${plan.target}': make the plan for this target`,
      { target: plan.target },
    )
  const own = new Set(ids)
  const foreign = plan.layers.filter(({ id }) => !own.has(id))
  if (plan.layers.length > 0 && foreign.length > 0)
    throw new FtError(
      'FINGERPRINT_MISMATCH',
      `protectTfjs: the plan is for model ${plan.model.name}; this model has no layer ${foreign.map(({ id }) => id).join(', ')}`,
      { layers: foreign.map(({ id }) => id) },
    )
  const byId = new Map(plan.layers.map(({ id, scheme }) => [id, schemes.find((each) => each === scheme)]))
  return (id) => byId.get(id)
}

interface Run<T> {
  readonly outputs: T
  readonly detections: TfjsGuardReport['detections']
  readonly checks: number
  readonly unprotected: TfjsGuardReport['unprotected']
}

interface RunRequest {
  readonly model: TfModel
  readonly inputs: unknown
  readonly known: ReadonlyMap<object, StoredSums>
  readonly schemeOf: (id: string) => TfjsScheme | undefined
}

/** One pass of the model with its products checked; reads the checks' numbers once it is over. */
async function checkedRun<T>(tf: Tf, { model, inputs, known, schemeOf }: RunRequest): Promise<Run<T>> {
  const found: { id: string; numbers: TfTensor }[] = []
  const unprotected = new Map<string, string>()
  const precision = tf.backend().floatPrecision() === 16 ? 'float16' : 'float32'
  const unit = unitRoundoff(precision)
  let anonymous = 0
  const outputs = intercepting({
    engine: tf.engine(),
    unprotected,
    work: () => model.predict(inputs as never),
    onProduct(call, run) {
      const operand = operandOf(call)
      const stored = known.get(operand.dataId)
      const id = stored?.id ?? `computed ${++anonymous}`
      const scheme = schemeOf(id)
      if (scheme === undefined) {
        unprotected.set(id, 'the plan leaves it out')
        return run(call)
      }
      if (Object.values(call.inputs).some((input) => input !== undefined && input.dtype !== 'float32')) {
        unprotected.set(id, 'not float32')
        return run(call)
      }
      const { activation, leakyreluAlpha: _alpha, ...attributes } = call.attributes
      const linear = activation === undefined ? call : { ...call, attributes: { ...attributes, activation: 'linear' } }
      const output = run(linear)
      if (!hasBound({ ...linear, output, scheme, unit })) {
        unprotected.set(id, `rounding of ${precision} has no bound at this size`)
        return activated(tf, call, output)
      }
      const numbers = tidy(tf, () => {
        const sums = isDepthwise(call.name) ? NO_SUMS : sumsOf(tf, call, stored)
        return keep(tf, checkCall(tf, { ...linear, output, scheme, unit, sums, run }))
      })
      found.push({ id, numbers })
      return activated(tf, call, output)
    },
  }) as T

  const detections: { id: string; failed: number; residual: number }[] = []
  if (found.length > 0) {
    const all = tidy(tf, () => tf.stack(found.map(({ numbers }) => numbers)))
    const values = await all.data()
    for (const each of [all, ...found.map(({ numbers }) => numbers)]) each.dispose()
    found.forEach(({ id }, i) => {
      const [failed, residual] = [values[2 * i] as number, values[2 * i + 1] as number]
      if (!(failed === 0)) detections.push({ id, failed, residual })
    })
  }
  return {
    outputs,
    detections,
    checks: found.length,
    unprotected: Array.from(unprotected, ([id, reason]) => ({ id, reason })),
  }
}

const NO_SUMS = undefined as unknown as ColumnSums

/** The weight of a product: its second operand. */
function operandOf({ inputs }: KernelCall): TfTensor {
  return (inputs['b'] ?? inputs['filter']) as TfTensor
}

function sumsOf(tf: Tf, call: KernelCall, stored: StoredSums | undefined): ColumnSums {
  const transposed = call.attributes['transposeB'] === true
  const ready = transposed ? stored?.transposed : stored?.plain
  const operand = operandOf(call)
  const sums = ready ?? computedSums(tf, operand, transposed)
  if (!call.name.endsWith('MatMul')) return sums
  // As a column behind A: [..., k, 1].
  const shape = [...operand.shape.slice(0, -2), operand.shape.at(transposed ? -1 : -2) as number, 1]
  return { sum: tf.reshape(sums.sum, shape), absolute: tf.reshape(sums.absolute, shape) }
}

/** The activation that a fused kernel was asked for. */
function activated(tf: Tf, { attributes, inputs }: KernelCall, x: TfTensor): TfTensor {
  switch (attributes['activation']) {
    case undefined:
    case 'linear':
      return x
    case 'relu':
      return tf.relu(x)
    case 'relu6':
      return tf.relu6(x)
    case 'elu':
      return tf.elu(x)
    case 'sigmoid':
      return tf.sigmoid(x)
    case 'prelu':
      return tf.prelu(x, inputs['preluActivationWeights'] as TfTensor)
    case 'leakyrelu':
      return tf.leakyRelu(x, attributes['leakyreluAlpha'] as number | undefined)
    default:
      throw new FtError('UNSUPPORTED', `protectTfjs: unknown fused activation '${String(attributes['activation'])}'`)
  }
}

const products: ReadonlySet<string> = new Set([
  'BatchMatMul',
  '_FusedMatMul',
  'Conv2D',
  'FusedConv2D',
  'DepthwiseConv2dNative',
  'FusedDepthwiseConv2D',
])
const unchecked: ReadonlySet<string> = new Set([
  'Conv3D',
  'Conv2DBackpropInput',
  'Conv3DBackpropInputV2',
  'Einsum',
  'SparseTensorDenseMatMul',
])

type RunKernel = (name: string, inputs: TfInputs, attributes?: TfAttributes) => unknown

interface Interception {
  readonly engine: TfEngine
  readonly work: () => unknown
  readonly onProduct: (call: KernelCall, run: (call: KernelCall) => TfTensor) => TfTensor
  readonly unprotected: Map<string, string>
}

/**
 * Lets `work` run with `onProduct` in the place of the kernels of products. What `onProduct` itself calls runs plainly.
 * `predict` is synchronous, so nothing else runs meanwhile.
 */
function intercepting({ engine, work, onProduct, unprotected }: Interception): unknown {
  const face = engine as unknown as { runKernel: RunKernel }
  const own = Object.hasOwn(face, 'runKernel')
  const original = face.runKernel
  const plainly: RunKernel = (name, inputs, attributes) => original.call(engine, name, inputs, attributes)
  const run = ({ name, inputs, attributes }: KernelCall) => plainly(name, inputs, attributes) as TfTensor
  let inside = false
  face.runKernel = (name, inputs, attributes = {}) => {
    if (inside) return plainly(name, inputs, attributes)
    if (unchecked.has(name)) unprotected.set(name, 'this kernel has no check')
    if (!products.has(name)) return plainly(name, inputs, attributes)
    inside = true
    try {
      return onProduct({ name, inputs, attributes }, run)
    } finally {
      inside = false
    }
  }
  try {
    return work()
  } finally {
    if (own) face.runKernel = original
    else delete (face as Partial<typeof face>).runKernel
  }
}

function tensorsOf(value: unknown): TfTensor[] {
  if (typeof value !== 'object' || value === null) return []
  if ('dataId' in value) return [value as TfTensor]
  return Object.values(value).flatMap(tensorsOf)
}

function disposeAll(value: unknown): void {
  for (const tensor of tensorsOf(value)) tensor.dispose()
}

async function allFinite(tf: Tf, inputs: unknown): Promise<boolean> {
  for (const tensor of tensorsOf(inputs).filter(({ dtype }) => dtype === 'float32')) {
    const bad = tidy(tf, () => tf.sum(tf.cast(tf.logicalNot(tf.isFinite(tensor)), 'float32')))
    const [count] = Array.from(await bad.data())
    bad.dispose()
    if (count !== 0) return false
  }
  return true
}
