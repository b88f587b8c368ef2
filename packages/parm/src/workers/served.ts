// What a worker process serves: one model, and the modules that give one.
import type { InferRequest, Parameters, WireTensor } from '../oip/message.ts'
import type { InferContext, ModelMetadata } from '../oip/service.ts'
import type { WorkerFaults } from './faults.ts'

/** A model inside a worker process. */
export interface ServedModel {
  /** Its signature; `name` is replaced by the name it is served under. */
  readonly metadata: Omit<ModelMetadata, 'name'>
  infer(inputs: readonly WireTensor[], context: ServedContext): Promise<readonly WireTensor[]> | readonly WireTensor[]
}

/** What comes with the inputs of a request. */
export interface ServedContext {
  readonly signal: AbortSignal
  readonly headers: Readonly<Record<string, string>>
  /** Of a request that passed through uncoded: what its client said to the model. */
  readonly parameters: Parameters
  /** The outputs that it asked for by name, where it said something of one, such as a `classification`. */
  readonly outputs?: InferRequest['outputs']
}

/** A class, as `RequestContext` is one: an object with an accessor of its own is slow. */
export class WorkContext implements ServedContext {
  readonly headers: Readonly<Record<string, string>>
  readonly parameters: Parameters
  readonly outputs: InferRequest['outputs']
  readonly #context: InferContext

  constructor({ parameters, outputs }: InferRequest, context: InferContext) {
    const { binary_data_output: _asked, ...own } = parameters
    this.headers = context.headers
    this.parameters = own
    this.outputs = outputs
    this.#context = context
  }

  get signal(): AbortSignal {
    return this.#context.signal
  }
}

/** Which model a worker runs: a folder written by this package, an ONNX file, or a module of yours. */
export type WorkerModel =
  | { readonly folder: string }
  | {
      /** Path of an ONNX file; needs the optional peer onnxruntime-node. */
      readonly onnx: string
    }
  | {
      /** File URL or path of a module whose default export is a `ModelFactory`. */
      readonly module: string
      /** Passed to it; JSON. */
      readonly options?: unknown
    }

/** Default export of a worker module. */
export type ModelFactory = (options: unknown) => Promise<ServedModel> | ServedModel

/** What a worker is told at its start. */
export interface WorkerOrder {
  readonly model: WorkerModel
  readonly faults?: WorkerFaults
  readonly socketPath: string
}
