// One OpenTelemetry span a request, with how its answer came about; on the API alone, an optional peer.
import type * as OpenTelemetry from '@opentelemetry/api'
import { FtError } from '@ft/core'
import type { OipService } from '../oip/service.ts'

/**
 * The service with a span for each query, `parm.infer`, and for each request that is refused before it is one, `parm.refused`: child of
 * the caller's `traceparent`, parent of what instances record. Who has registered no provider gets spans that cost next to nothing.
 *
 * @throws FtError `MISSING_PEER` without @opentelemetry/api
 */
export async function withTracing(service: OipService): Promise<OipService> {
  let api: typeof OpenTelemetry
  try {
    api = await import('@opentelemetry/api')
  } catch (cause) {
    const text = 'createGateway: `tracing` needs @opentelemetry/api; npm install @opentelemetry/api'
    throw new FtError('MISSING_PEER', text, {}, { cause })
  }
  const { ROOT_CONTEXT, SpanKind, SpanStatusCode, propagation, trace } = api
  /** What `infer` failed with: such a request has its span. */
  const told = new WeakSet()
  const start = (name: string, headers: Readonly<Record<string, string>>) => {
    const parent = propagation.extract(ROOT_CONTEXT, headers)
    return { parent, span: trace.getTracer('@ft/parm').startSpan(name, { kind: SpanKind.SERVER }, parent) }
  }
  const fail = (span: OpenTelemetry.Span, error: unknown) =>
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) })
  return {
    ...service,
    refused(refusal) {
      service.refused?.(refusal)
      const { status, thrown, headers } = refusal
      if (typeof thrown === 'object' && thrown !== null && told.has(thrown)) return
      const { span } = start('parm.refused', headers)
      span.setAttribute('http.response.status_code', status)
      fail(span, thrown)
      span.end()
    },
    async infer(model, { request, context }) {
      const { parent, span } = start('parm.infer', context.headers)
      span.setAttribute('ft.model', model)
      const headers = { ...context.headers }
      propagation.inject(trace.setSpan(parent, span), headers)
      const { version, gone } = context
      try {
        const response = await service.infer(model, {
          request,
          context: {
            version,
            headers,
            gone,
            get signal() {
              return context.signal
            },
          },
        })
        for (const name of ['ft.quality', 'ft.group']) {
          const value = response.parameters?.[name]
          if (value !== undefined) span.setAttribute(name, typeof value === 'bigint' ? String(value) : value)
        }
        return response
      } catch (error) {
        fail(span, error)
        if (typeof error === 'object' && error !== null) told.add(error)
        throw error
      } finally {
        span.end()
      }
    },
  }
}
