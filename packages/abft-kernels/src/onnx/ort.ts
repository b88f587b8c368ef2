// What is used of onnxruntime, in Node or in browsers.

/** A tensor of onnxruntime-node or -web, as far as this needs it. */
export interface OrtTensor {
  readonly data: ArrayLike<unknown>
  readonly dims: readonly number[]
  readonly type: string
}

export interface OrtSession<T> {
  /** All outputs, or those that `fetches` names. */
  run(feeds: Readonly<Record<string, T>>, fetches: readonly string[]): Promise<Readonly<Record<string, T>>>
  release(): Promise<void>
}

/** The module of onnxruntime-node or onnxruntime-web. */
export interface Ort<T extends OrtTensor, Options> {
  readonly InferenceSession: { create(bytes: Uint8Array, options?: Options): Promise<OrtSession<T>> }
}
