// Entry of a worker process: serves one model over the Open Inference Protocol on a local socket, so that an embedded
// worker is an instance like any other. Ends with its parent, and by nothing milder than SIGKILL before.
import { isAbsolute } from 'node:path'
import { pathToFileURL } from 'node:url'
import { startOipServer } from '../oip/server.ts'
import { openDenseModel } from './denseModel.ts'
import { openOnnxModel } from './onnxModel.ts'
import { withFaults } from './faults.ts'
import { WorkContext, type ModelFactory, type ServedModel, type WorkerModel, type WorkerOrder } from './served.ts'

async function open(model: WorkerModel): Promise<ServedModel> {
  if ('folder' in model) return openDenseModel(model.folder)
  if ('onnx' in model) return openOnnxModel(model.onnx)
  const specifier = isAbsolute(model.module) ? pathToFileURL(model.module).href : model.module
  const { default: create } = (await import(specifier)) as { default: ModelFactory }
  return create(model.options)
}

async function serve({ model, faults, socketPath }: WorkerOrder): Promise<void> {
  const opened = await open(model)
  const served = faults ? withFaults(opened, faults) : opened
  await startOipServer(
    {
      name: 'ft-parm-worker',
      version: '1',
      ready: () => true,
      metadata: (name) => ({ ...served.metadata, name }),
      async infer(modelName, { request, context }) {
        const outputs = await served.infer(request.inputs, new WorkContext(request, context))
        return { modelName, outputs, ...(request.id === undefined ? {} : { id: request.id }) }
      },
    },
    { socketPath, maxBodyBytes: 256 << 20, keepAliveMs: 0 },
  )
  // A parent that has gone meanwhile is no error: 'disconnect' ends this process
  process.send?.({ ready: true }, undefined, undefined, () => undefined)
}

process.once('disconnect', () => process.exit(0))
// Sent to the whole group (Ctrl-C, systemd) they are the gateway's business, which still has requests to answer
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => undefined)
serve(JSON.parse(process.argv[2] ?? '{}') as WorkerOrder).catch((error: unknown) => {
  process.send?.({ failed: error instanceof Error ? error.message : String(error) }, undefined, undefined, () =>
    process.exit(1),
  )
})
