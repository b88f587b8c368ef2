// The form of `parm serve`'s configuration file.
import { z } from 'zod'
import type { NamedTensor } from '../named.ts'
import { OipError } from '../oip/error.ts'
import { bytesFromJson } from '../oip/json-data.ts'
import { toNamedTensor } from '../oip/message.ts'
import { checkForm } from '../oip/parse.ts'
import { byKey, choose, isRecord } from './choose.ts'

const text = z.string().min(1)
const port = z.int().min(0).max(65535)
const share = z.number().min(0).max(1)

const common = {
  name: text.optional(),
  domain: text.optional(),
  concurrency: z.int().min(1).max(1024).optional(),
}
const lateMs = z
  .tuple([z.number().min(0), z.number().min(0)])
  .refine(([from, to]) => from <= to, 'must be the least and the most, in this order')
const faults = z.strictObject({
  seed: z.int().min(0),
  late: z.strictObject({ share, ms: lateMs }).optional(),
  slow: z.strictObject({ factor: z.number().min(1) }).optional(),
  drop: z.strictObject({ share }).optional(),
})
const worker = { ...common, workers: z.int().min(1).max(64).default(1), faults: faults.optional() }
const url = z
  .string()
  .refine(
    (value) => value.startsWith('/') || (/^(https?|grpcs?):\/\//.test(value) && URL.canParse(value)),
    'must be http(s)://, grpc(s):// or the path of a local socket',
  )
const instance = byKey({
  url: z.strictObject({ ...common, url, model: text.optional() }),
  folder: z.strictObject({ ...worker, folder: text }),
  onnx: z.strictObject({ ...worker, onnx: text }),
  module: z.strictObject({ ...worker, module: text, options: z.unknown().optional() }),
})

const group = z.int().min(2).max(16)
const codes = {
  sum: z.strictObject({ kind: z.literal('sum'), k: group, shortGroups: z.boolean().optional() }),
  weighted: z.strictObject({
    kind: z.literal('weighted'),
    k: group,
    r: z.int().min(1).max(4),
    coefficients: z.array(z.array(z.number())).optional(),
  }),
  concat: z.strictObject({
    kind: z.literal('concat'),
    k: z.literal([2, 4, 9]),
    image: z.strictObject({
      height: z.int().min(3),
      width: z.int().min(3),
      channels: z.int().min(1).optional(),
      layout: z.enum(['HWC', 'CHW']).optional(),
    }),
  }),
  berrut: z.strictObject({
    kind: z.literal('berrut'),
    k: group,
    late: z.int().min(1).max(8),
    nodes: z.enum(['open', 'closed']).optional(),
    order: z.int().min(0).max(15).optional(),
    wrong: z.int().min(0).max(8).optional(),
  }),
  learned: z.strictObject({ kind: z.literal('learned'), folder: text }),
  replication: z.strictObject({ kind: z.literal('replication'), copies: z.int().min(2).max(8).optional() }),
}
const code = choose<(typeof codes)[keyof typeof codes]>((value) => {
  const kind = isRecord(value) ? value['kind'] : undefined
  if (typeof kind === 'string' && Object.hasOwn(codes, kind)) return codes[kind as keyof typeof codes]
  return `must be an object whose kind is one of ${Object.keys(codes).join(', ')}`
})

const delay = byKey({
  afterMs: z.strictObject({ afterMs: z.number().min(0) }),
  quantile: z.strictObject({ quantile: z.number().min(0.5).max(1), initialMs: z.number().min(0).optional() }),
})
const namedPolicy = z.enum(['firstWins', 'deadlineOnly'])
const builtPolicy = byKey({
  hold: z.strictObject({ hold: delay }),
  hedge: z.strictObject({ hedge: delay }),
  hedgeThenDecode: z.strictObject({ hedgeThenDecode: z.strictObject({ hedge: delay, decode: delay }) }),
})
const policy = choose<typeof namedPolicy | typeof builtPolicy>((value) =>
  typeof value === 'string' ? namedPolicy : builtPolicy,
)

const never = z.literal(false)
const limits = z.strictObject({
  limit: z.number().min(0.1).max(10).optional(),
  windowMs: z.number().min(1).optional(),
})
const guard = choose<typeof never | typeof limits>((value) => (value === false ? never : limits))

const list = z.array(instance)
const lists = z.record(z.string(), list.min(1))
const parityInstances = choose<typeof list | typeof lists>((value) => (Array.isArray(value) ? list : lists))

const scaled = z.strictObject({ scale: z.number().optional(), offset: z.number().optional() })
const byChannel = z
  .strictObject({
    scale: z.number().optional(),
    mean: z.array(z.number()).min(1),
    std: z.array(z.number().positive()).min(1),
    layout: z.enum(['HWC', 'CHW']).optional(),
  })
  .refine(({ mean, std }) => mean.length === std.length, 'must have as many std as mean')
const preprocessing = choose<typeof scaled | typeof byChannel>((value) =>
  isRecord(value) && ('mean' in value || 'std' in value) ? byChannel : scaled,
)

/** A tensor of one row, as in an answer in JSON. */
const output = z
  .strictObject({ name: text, datatype: text, shape: z.array(z.int().min(0)), data: z.array(z.unknown()) })
  .transform((entry, context): NamedTensor => {
    try {
      const form = checkForm(entry, 'output')
      const tensor = toNamedTensor({ ...form, bytes: bytesFromJson(entry.data, form) })
      if (tensor?.shape[0] === 1) return tensor
      context.addIssue({ code: 'custom', message: 'must be numbers of one row: shape [1, ...]' })
    } catch (error) {
      if (!(error instanceof OipError)) throw error
      context.addIssue({ code: 'custom', message: error.message })
    }
    return z.NEVER
  })

export const config = z.strictObject({
  model: text,
  instances: list.min(1),
  parityInstances: parityInstances.optional(),
  code: code.optional(),
  preprocessing: z.record(text, preprocessing).optional(),
  policy: policy.default({ hold: { quantile: 0.99 } }),
  deadlineMs: z.number().min(1).optional(),
  outageMs: z.number().min(0).optional(),
  maxGroupWaitMs: z.number().min(0).optional(),
  maxBatchRows: z.int().min(1).max(1024).optional(),
  maxBatchWaitMs: z.number().min(0).optional(),
  queueLimit: z.int().min(1).optional(),
  defaultOutputs: z.array(output).min(1).optional(),
  guard: guard.optional(),
  shadowShare: share.optional(),
  residualShare: share.optional(),
  seed: z.int().min(0).optional(),
  tracing: z.boolean().optional(),
  host: text.optional(),
  port: port.default(8000),
  maxBodyBytes: z.int().min(1).optional(),
  keepAliveMs: z.number().min(0).optional(),
  drainMs: z.number().min(0).optional(),
  startTimeoutMs: z.number().min(1).optional(),
  grpc: z.strictObject({ host: text.optional(), port: port.default(8001) }).optional(),
  /** Files of PEM texts. */
  tls: z.strictObject({ cert: text, key: text, ca: text.optional() }).optional(),
})

export type Config = z.output<typeof config>
export type InstanceEntry = z.output<typeof instance>
export type CodeEntry = z.output<typeof code>
export type PolicyEntry = z.output<typeof policy>
export type DelayEntry = z.output<typeof delay>
