// TensorFlow Serving's REST API in front of a service: predict, status and metadata of a model. It has no place for how an
// answer came about: that is in the headers ft-quality and ft-group.
import { OipError } from '../oip/error.ts'
import type { Parameters } from '../oip/message.ts'
import type { OipService, OtherReply, OtherRequest } from '../oip/service.ts'
import { modelSignature, modelStatus } from './describe.ts'
import { parsePredict, writePredict } from './predict.ts'

const path = /^\/v1\/models\/([^/:]+)(?:\/versions\/([^/:]+))?(?::(\w+)|\/(metadata))?$/

/**
 * Answers the API's paths; undefined for others. Request headers `ft-allow-degraded: false` and `ft-deadline-ms` say what
 * parameters say in the Open Inference Protocol.
 */
export async function tensorflowRoutes(
  service: Pick<OipService, 'metadata' | 'infer' | 'ready'>,
  request: OtherRequest,
): Promise<OtherReply | undefined> {
  const [, encoded, version, verb, metadataPath] = path.exec(request.path) ?? []
  if (encoded === undefined) return undefined
  const model = decodeName(encoded)
  const metadata = service.metadata(model)
  if (!metadata || (version !== undefined && !(metadata.versions ?? ['1']).includes(version)))
    throw new OipError(404, `Servable not found for request: ${model.slice(0, 100)}`)
  if (verb === undefined) {
    if (request.method !== 'GET') throw new OipError(405, 'this path must be called with GET')
    return json(metadataPath ? modelSignature(metadata) : modelStatus(metadata, service.ready()))
  }
  if (verb !== 'predict') throw new OipError(501, `${verb.slice(0, 20)} is not served here: use predict`)
  if (request.method !== 'POST') throw new OipError(405, 'predict must be called with POST')
  const parameters = hintsOf(request.headers)
  const parsed = parsePredict(new TextDecoder().decode(await request.body()), { metadata, parameters })
  const { headers, gone } = request.context
  const context = {
    version,
    headers,
    gone,
    get signal() {
      return request.context.signal
    },
  }
  const answer = await service.infer(model, { request: parsed.request, context })
  const said = answer.parameters ?? {}
  return {
    contentType: 'application/json',
    text: writePredict(answer, parsed.form),
    headers: Object.fromEntries(
      (['quality', 'group'] as const).flatMap((name) =>
        said[`ft.${name}`] === undefined ? [] : [[`ft-${name}`, String(said[`ft.${name}`])]],
      ),
    ),
  }
}

function hintsOf(headers: Readonly<Record<string, string | string[] | undefined>>): Parameters {
  const { 'ft-allow-degraded': allowed, 'ft-deadline-ms': deadline } = headers
  // As Python writes it too; anything else would be taken for what it does not say
  const said = String(allowed).toLowerCase()
  if (allowed !== undefined && said !== 'true' && said !== 'false')
    throw new OipError(400, 'ft-allow-degraded must be true or false')
  return {
    ...(allowed === undefined ? {} : { 'ft.allowDegraded': said === 'true' }),
    ...(deadline === undefined ? {} : { 'ft.deadlineMs': Number(deadline) }),
  }
}

function decodeName(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch (cause) {
    throw new OipError(400, 'the model name must be a valid URL part', { cause })
  }
}

const json = (body: object): OtherReply => ({ contentType: 'application/json', text: JSON.stringify(body) })
