// What clients of a gateway see: requests become rows, rows queries, their answers responses with marks.
import { PROMETHEUS_CONTENT_TYPE, prometheusText } from '@ft/report/prometheus'
import type { NamedTensor, Quality } from '../named.ts'
import { OipError, fromInstance } from '../oip/error.ts'
import type { InferRequest, InferResponse, Parameters, WireTensor } from '../oip/message.ts'
import type { InferContext, ModelMetadata, TensorMetadata } from '../oip/service.ts'
import { Cancellation } from '../serving/cancellation.ts'
import type { Clock } from '../serving/clock.ts'
import type { Coordinator, CoordinatorEvent } from '../serving/coordinator.ts'
import type { Answer } from '../serving/group.ts'
import type { GatewayOptions, GatewaySnapshot } from './gateway.ts'
import { metricsOf, type Histogram } from './metrics.ts'
import type { Pool } from './pool.ts'
import { checkInput, checkInputs, inOrder, outputsSaid, ownParameters, readHints, speaksOfTensors } from './request.ts'
import { joinRows, rowsOf, splitRows } from './rows.ts'

export interface FrontOptions {
  readonly latency: Histogram
  /** Counts what happens to queries that pass through uncoded. */
  readonly count: (event: CoordinatorEvent) => void
  readonly snapshot: () => GatewaySnapshot
  readonly options: GatewayOptions
  readonly metadata: ModelMetadata
  /** Whether its requests can be split into rows. */
  readonly rowWise: boolean
  readonly coordinator: Coordinator
  readonly base: Pool
  readonly clock: Clock
  readonly deadlineMs: number
  readonly queueLimit: number
  readonly stopping: AbortSignal
}

/** What clients see. */
export function createFront(front: FrontOptions) {
  const { options, metadata, rowWise, coordinator, base, clock, deadlineMs, queueLimit, stopping, latency, count } =
    front
  const { model, defaultOutputs } = options
  const named = { ...metadata, name: model }

  async function infer(
    _model: string,
    { request, context }: { request: InferRequest; context: InferContext },
  ): Promise<InferResponse> {
    if (stopping.aborted) throw new OipError(503, 'the gateway is closing', { retryAfter: 1 })
    checkInputs(request, metadata)
    const parameters = ownParameters(request)
    const version = otherVersion(context.version)
    // What is asked with parameters, its own or a tensor's, or of one version of several, no code knows: it passes through as it is
    const plain = rowWise && parameters === undefined && version === undefined && !speaksOfTensors(request)
    const size = plain ? rowsOf(request.inputs) : undefined
    // Trying again would not help
    if (size !== undefined && size > queueLimit)
      throw new OipError(413, `a request must have at most ${queueLimit} rows, got ${size}`)
    if (base.queued() + (size ?? 1) > queueLimit)
      throw new OipError(429, 'too many requests are waiting', { retryAfter: 1 })
    const hints = readHints(request, deadlineMs)
    if (size === undefined) return passThrough(request, { context, parameters, version, deadlineMs: hints.deadlineMs })
    const rows = splitRows(inOrder(request.inputs, metadata), size)
    const submit = (inputs: NamedTensor[]) =>
      coordinator.submit({ inputs, ...hints, headers: context.headers, gone: context.gone })
    const answers =
      rows.length === 1 ? [await submit(rows[0] as NamedTensor[])] : await Promise.all(rows.map((row) => submit(row)))
    return respond(request, { answers, allowDegraded: hints.allowDegraded })
  }

  /** The version that instances are to be asked for: of a model of one version nobody needs to say it. */
  function otherVersion(version: string | undefined): string | undefined {
    const { versions = [] } = metadata
    return version !== undefined && versions.length > 1 && versions.includes(version) ? version : undefined
  }

  function respond(
    request: InferRequest,
    { answers, allowDegraded }: { answers: readonly Answer[]; allowDegraded: boolean },
  ): InferResponse {
    for (const { latencyMs } of answers) latency.observe(latencyMs)
    const outputs = answers.map((answer) => {
      const found = answer.outputs ?? (allowDegraded ? defaultOutputs : undefined)
      if (found) return found
      throw answer.error === undefined ? new OipError(504, 'no answer by the deadline') : fromInstance(answer.error)
    })
    const qualities = answers.map(({ quality }) => quality)
    const groups = answers.map(({ group }) => group)
    return {
      modelName: model,
      ...(request.id === undefined ? {} : { id: request.id }),
      parameters: {
        'ft.quality': worst(qualities),
        'ft.group': groups.length === 1 ? (groups[0] as number) : groups.join(','),
        ...(qualities.length > 1 ? { 'ft.qualities': qualities.join(',') } : {}),
      },
      outputs: join(outputs),
    }
  }

  /** Rows that do not fit together are the instances' doing, not the client's. */
  function join(rows: readonly (readonly NamedTensor[])[]): WireTensor[] {
    try {
      return joinRows(rows, metadata.outputs)
    } catch (error) {
      throw fromInstance(error)
    }
  }

  /** A request that no code can sum, as a whole: on one instance, or on a second when the first fails. */
  async function passThrough(
    request: InferRequest,
    o: {
      context: InferContext
      parameters: Parameters | undefined
      version: string | undefined
      deadlineMs: number
    },
  ): Promise<InferResponse> {
    const outputs = outputsSaid(request, metadata)
    const work = new Cancellation()
    let late = false
    const arrivedMs = clock.now()
    const dueMs = arrivedMs + o.deadlineMs
    count('query')
    const ended = (event: CoordinatorEvent) => {
      count(event)
      if (event !== 'cancelled') latency.observe(clock.now() - arrivedMs)
    }
    const cancelTimer = clock.schedule(o.deadlineMs, () => {
      late = true
      work.cancel()
    })
    const stopListening = o.context.gone.onCancel(() => work.cancel({ abandoned: true }))
    try {
      const { headers } = o.context
      const { parameters, version } = o
      const { inputs } = request
      const rows = rowWise ? rowsOf(inputs) : undefined
      const said = { inputs, rows, outputs, parameters, version, headers }
      const response = await base.run({ ...said, work, placed: new Set(), dueMs })
      ended('exact')
      return {
        ...response,
        modelName: model,
        ...(request.id === undefined ? {} : { id: request.id }),
        parameters: { ...response.parameters, 'ft.quality': 'exact' },
      }
    } catch (error) {
      ended(o.context.gone.cancelled ? 'cancelled' : 'default')
      if (late) throw new OipError(504, 'no answer by the deadline', { cause: error })
      throw fromInstance(error)
    } finally {
      cancelTimer()
      stopListening()
    }
  }

  return {
    name: 'ft-parm',
    version: '1',
    ready: () => !stopping.aborted && base.instances.some(({ out }) => !out),
    metadata: (name: string) => (name === model ? named : undefined),
    checkInput: (_model: string, input: TensorMetadata) => checkInput(input, metadata),
    infer,
    metrics: async () => ({
      contentType: PROMETHEUS_CONTENT_TYPE,
      text: await prometheusText(metricsOf(front.snapshot())),
    }),
  }
}

function worst(qualities: readonly Quality[]): Quality {
  for (const quality of ['default', 'reconstructed'] as const) if (qualities.includes(quality)) return quality
  return 'exact'
}
