// What a worker process serves: one model, and the modules that give one.
import type { WireTensor } from '../oip/message.ts'
import type { ModelMetadata } from '../oip/service.ts'
import type { WorkerFaults } from './faults.ts'

/** A model inside a worker process. */
export interface ServedModel {
  /** Its signature; `name` is replaced by the name it is served under. */
  readonly metadata: Omit<ModelMetadata, 'name'>
  infer(
    inputs: readonly WireTensor[],
    context: { readonly signal: AbortSignal; readonly headers: Readonly<Record<string, string>> },
  ): Promise<readonly WireTensor[]> | readonly WireTensor[]
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
