// Writes checks into an ONNX model, so that any runtime executes them. Reads as its steps: read, fold, choose, add checks.
import { FtError, invalidArgument, isFtError, type ProtectionPlan, type ProtectionScheme } from '@ft/core'
import {
  cloneModel,
  foldBatchNorm,
  inferShapes,
  modelFingerprint,
  parseModel,
  rewriter,
  serializeModel,
  setMetadata,
  subgraphs,
  type GraphProto,
  type InferOptions,
  type NodeProto,
  type OnnxModel,
} from '@ft/onnx'
import { convCheck } from './convCheck.ts'
import { createEmitter } from './emitter.ts'
import { integerCheck } from './integerCheck.ts'
import { bagCheck, bagOf, softmaxCheck } from './lookupCheck.ts'
import { matmulCheck } from './matmulCheck.ts'
import { betweenQuantisersCheck, isBetweenQuantisers, quantisedCheck } from './mirrorCheck.ts'
import { assertBytes, METADATA_KEY, protectionText, type ProtectedLayer } from './metadata.ts'
import { nonNegativeValues } from './nonNegative.ts'
import type { Built, OnnxScheme, Site, SiteContext } from './site.ts'
import { addVerdicts, type Checked, type Place } from './verdict.ts'

/** One scheme for every layer, instead of a plan. */
export interface UniformPlan {
  readonly scheme: OnnxScheme
}

export interface ProtectedModel {
  readonly bytes: Uint8Array
  readonly protected: readonly ProtectedLayer[]
  /** Products that carry no check, and why: never left out silently. */
  readonly unprotected: readonly { readonly id: string; readonly reason: string }[]
}

type Builder = (site: Site, context: SiteContext) => Built

const builders: Readonly<Record<string, Builder>> = {
  Conv: convCheck,
  MatMul: matmulCheck,
  Gemm: matmulCheck,
  MatMulInteger: integerCheck,
  ConvInteger: integerCheck,
  QLinearConv: quantisedCheck,
  QLinearMatMul: quantisedCheck,
  ReduceSum: bagCheck,
  Softmax: softmaxCheck,
}
/** Products that this version has no check for. */
const unchecked: Readonly<Record<string, string>> = {
  ConvTranspose: 'no check for ConvTranspose',
  LSTM: 'no check for recurrent layers',
  GRU: 'no check for recurrent layers',
  RNN: 'no check for recurrent layers',
  Einsum: 'no check for Einsum',
  Attention: 'no check inside fused attention: export it as MatMul and Softmax',
  MultiHeadAttention: 'no check inside fused attention: export it as MatMul and Softmax',
  MatMulIntegerToFloat: 'an operator of one runtime: protect the model before it is optimised',
  DynamicQuantizeMatMul: 'an operator of one runtime: protect the model before it is optimised',
  QGemm: 'an operator of one runtime: protect the model before it is optimised',
  MatMulNBits: 'no check for weights of a few bits',
  FusedMatMul: 'an operator of one runtime: protect the model before it is optimised',
  FusedGemm: 'an operator of one runtime: protect the model before it is optimised',
  FusedConv: 'an operator of one runtime: protect the model before it is optimised',
}

/**
 * Protects a model.
 *
 * Batch normalisation is folded into convolutions first. Checks come before activations; layers keep their values' names.
 * Every protected layer gets an output of two numbers (checks that failed, worst residual) and an input with a default
 * (the largest residual that passes), so that any runtime can run the model and `createGuardedSession` can judge it. Layers
 * that were judged together have their numbers in one more output, side by side: cheaper to read than many small ones.
 *
 * Softmax between two protected products is checked too (rows sum to 1).
 *
 * @param plan - a plan for target 'onnx', or one scheme for all layers
 * @param options - sizes of named dimensions, where they are known: tighter bounds, cheaper pooling
 * @throws FtError `CORRUPT_DATA` for bytes that are no model; `INVALID_ARGUMENT` for a plan of another target, or a model
 * that is protected already; `FINGERPRINT_MISMATCH` for a plan of another model; `UNSUPPORTED` for operator sets before 9
 */
export function protectOnnx(
  bytes: Uint8Array,
  plan: ProtectionPlan | UniformPlan,
  options: InferOptions = {},
): ProtectedModel {
  const original = parseModel(assertBytes(bytes, 'protectOnnx'))
  if (typeof plan !== 'object' || plan === null)
    throw invalidArgument({ where: 'protectOnnx', argument: 'plan' }, 'a plan, or { scheme }', plan)
  assertPlan(original, plan)
  const model = cloneModel(original)
  const edited = damaged(() => {
    initializersAreConstants(model)
    foldBatchNorm(model)
    return addChecks(model, plan, options)
  })
  return { bytes: serializeModel(model), ...edited }
}

function addChecks(
  model: OnnxModel,
  plan: ProtectionPlan | UniformPlan,
  options: InferOptions,
): Pick<ProtectedModel, 'protected' | 'unprotected'> {
  const edit = rewriter(model)
  const index = edit.index()
  const shapes = inferShapes(model, options)
  const emit = createEmitter(model, edit)
  const made = new Map<string, string>()
  const context: SiteContext = {
    emit,
    index,
    shapes,
    nonNegative: nonNegativeValues(index),
    once(what, value, make) {
      const key = `${what}: ${value}`
      const known = made.get(key) ?? make()
      made.set(key, known)
      return known
    },
    pairs: new Map(),
    claimed: new Set(),
  }
  const checks: (Checked & Pick<ProtectedLayer, 'opType' | 'scheme'>)[] = []
  const unprotected = unprotectedInside(model.graph)

  const products = [...model.graph.node]
  const behind = new Map<NodeProto, NodeProto[]>()
  for (const node of products) {
    if (!isProduct(node, context)) continue
    const before = model.graph.node.length
    const id = node.output[0] ?? ''
    const chosen = schemeOf(plan, id)
    const built = typeof chosen === 'object' ? chosen : build({ id, node, scheme: chosen }, context)
    if ('reason' in built) {
      unprotected.push({ id, reason: built.reason })
      continue
    }
    // What it made for several layers stays even if it has no bound: others may read it.
    behind.set(node, model.graph.node.slice(before))
    if (Number.isFinite(built.bound))
      checks.push({
        id,
        built,
        opType: node.opType,
        scheme: node.opType === 'Softmax' ? 'row' : (chosen as OnnxScheme),
      })
    else unprotected.push({ id, reason: 'its sums have so many terms that rounding in float32 has no bound' })
  }
  // Checks right behind their products: runtimes then read values while they are in cache and free them early.
  model.graph.node = products.flatMap((node) => [node, ...(behind.get(node) ?? [])])
  const verdicts = addVerdicts(emit, checks)
  edit.finish()
  const done = checks.map(({ id, opType, scheme, built }): ProtectedLayer => {
    return { id, opType, scheme, ...(verdicts.get(id) as Place), bound: built.bound }
  })
  setMetadata(model, { key: METADATA_KEY, value: protectionText({ layers: done }) })
  return { protected: done, unprotected }
}

function build(site: Site, context: SiteContext): Built {
  const reason = unchecked[site.node.opType]
  if (reason !== undefined) return { reason }
  if (isBetweenQuantisers(site, context)) return betweenQuantisersCheck(site, context)
  return (builders[site.node.opType] as Builder)(site, context)
}

function isProduct(node: NodeProto, context: SiteContext): boolean {
  if (node.opType === 'ReduceSum') return bagOf(node, context) !== undefined
  if (node.opType === 'Softmax') return betweenProducts(node, context)
  return node.opType in builders || node.opType in unchecked
}

/** Softmax of attention: what it makes is an operand of a product. */
function betweenProducts(node: NodeProto, { index }: SiteContext): boolean {
  return index.consumers(node.output[0] ?? '').some((reader) => reader.opType === 'MatMul')
}

function schemeOf(plan: ProtectionPlan | UniformPlan, id: string): OnnxScheme | { reason: string } {
  if (!('layers' in plan)) return plan.scheme
  const planned = plan.layers.find((layer) => layer.id === id)
  if (!planned) return { reason: 'the plan does not name it' }
  return isOnnxScheme(planned.scheme) ? planned.scheme : { reason: `the plan gives it '${planned.scheme}'` }
}

function isOnnxScheme(scheme: ProtectionScheme): scheme is OnnxScheme {
  return scheme === 'global' || scheme === 'row' || scheme === 'replication'
}

function assertPlan(model: OnnxModel, plan: ProtectionPlan | UniformPlan): void {
  if (model.metadataProps.some(({ key }) => key === METADATA_KEY))
    throw new FtError('INVALID_ARGUMENT', 'protectOnnx: `bytes` must be an unprotected model, got a protected one', {})
  if (!('layers' in plan)) {
    if (isOnnxScheme(plan.scheme)) return
    throw new FtError(
      'INVALID_ARGUMENT',
      `protectOnnx: \`plan.scheme\` must be 'global', 'row' or 'replication', got '${String(plan.scheme)}'`,
      { scheme: plan.scheme },
    )
  }
  if (plan.target !== 'onnx')
    throw new FtError(
      'INVALID_ARGUMENT',
      `protectOnnx: \`plan.target\` must be 'onnx', got '${plan.target}': make the plan for this target`,
      { target: plan.target },
    )
  const fingerprint = modelFingerprint(model)
  if (plan.model.fingerprint !== fingerprint)
    throw new FtError(
      'FINGERPRINT_MISMATCH',
      `protectOnnx: the plan is for model ${plan.model.name} (${plan.model.fingerprint}), these bytes are ${fingerprint}`,
      { expected: plan.model.fingerprint, got: fingerprint },
    )
}

/** Before IR version 4 every stored tensor was an input too, which runtimes then cannot treat as constant. */
function initializersAreConstants(model: OnnxModel): void {
  if (model.irVersion >= 4n) return
  const stored = new Set(model.graph.initializer.map(({ name }) => name))
  model.graph.input = model.graph.input.filter(({ name }) => !stored.has(name))
  model.irVersion = 4n
}

/** Products inside the branches of If and the bodies of loops: their values cannot leave the branch. */
function unprotectedInside(graph: GraphProto): { id: string; reason: string }[] {
  const inner = graph.node.flatMap((node) => subgraphs(node).map((body) => ({ node, body })))
  return inner.flatMap(({ node, body }) => [
    ...body.node
      .filter(
        ({ opType }) => opType !== 'ReduceSum' && opType !== 'Softmax' && (opType in builders || opType in unchecked),
      )
      .map(({ output }) => ({ id: output[0] ?? '', reason: `it is inside a branch or body of ${node.opType}` })),
    ...unprotectedInside(body),
  ])
}

/** Whatever a damaged model makes the rewriting do, the caller sees a damaged model. */
function damaged<T>(work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (isFtError(error)) throw error
    throw new FtError('CORRUPT_DATA', `protectOnnx: the model is damaged: ${String(error)}`, {}, { cause: error })
  }
}
