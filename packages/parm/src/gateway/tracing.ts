// One OpenTelemetry span a request, with how its answer came about; on the API alone, an optional peer.
import type * as OpenTelemetry from '@opentelemetry/api'
import { FtError } from '@ft/core'
import type { OipService } from '../oip/service.ts'

/**
 * The service with a span around each request: child of the caller's `traceparent`, parent of what instances record.
 * Who has registered no provider gets spans that cost next to nothing.
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
  return {
    ...service,
    async infer(model, { request, context }) {
      const parent = propagation.extract(ROOT_CONTEXT, context.headers)
      const span = trace.getTracer('@ft/parm').startSpan('parm.infer', { kind: SpanKind.SERVER }, parent)
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
        for (const name of ['ft.quality', 'ft.group'])
          if (response.parameters?.[name] !== undefined) span.setAttribute(name, response.parameters[name])
        return response
      } catch (error) {
        span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.message : String(error) })
        throw error
      } finally {
        span.end()
      }
    },
  }
}
