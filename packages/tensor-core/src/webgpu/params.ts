// The uniform parameters of every kernel: one list that gives the WGSL struct and the bytes.

const names = [
  // Sizes, and where this dispatch starts when a product needs several.
  'm',
  'n',
  'k',
  'firstItem',
  'firstRowGroup',
  // Element strides of A [item, row, step], B [item, step, column] and C [item, row / rowsPerOuter, row %, column].
  'aItem',
  'aRow',
  'aStep',
  'aStepsFirst',
  'bItem',
  'bStep',
  'bColumn',
  'bStepsFirst',
  'cItem',
  'cOuter',
  'cRow',
  'cColumn',
  'rowsPerOuter',
  // Bias and activation.
  'finish',
  'biasItem',
  // Weights' sums: elements from one item's to the next, 0 where all share one.
  'checksumItem',
  'foldItem',
  'panels',
  // The grid of workgroups, and where each kind of sum starts in the output.
  'groupsAcross',
  'groupsDown',
  'rowActual',
  'rowExpected',
  'columnActual',
  'columnExpected',
  'tileActual',
  'tileExpected',
  'replicaExpected',
  'nextAt',
  'rowSum',
  'rowMin',
  'rowMax',
  'rowSquares',
  'classes',
  'infinity',
  // Always 0, which compilers of drivers cannot know.
  'zero',
  // Faults.
  'eventsAt',
  'eventCount',
  'ownWeights',
  // Convolution: geometry, and element strides of the input.
  'height',
  'width',
  'kernelWidth',
  'groupChannels',
  'strideY',
  'strideX',
  'padTop',
  'padLeft',
  'dilationY',
  'dilationX',
  'outHeight',
  'outWidth',
  'xImage',
  'xLine',
  'xPixel',
  'xChannel',
] as const

export type ParamName = (typeof names)[number]
export type Params = Partial<Record<ParamName, number>>

/** Bits of `finish`. */
export const finishBias = 1
export const finishRelu = 2
export const finishGelu = 4

export const paramsStruct = `struct Params {\n${names.map((name) => `  ${name}: u32,`).join('\n')}\n}`

export const paramsBytes = Math.ceil(names.length / 4) * 16

export function encodeParams(params: Params): Uint32Array<ArrayBuffer> {
  const words = new Uint32Array(paramsBytes / 4)
  names.forEach((name, i) => (words[i] = params[name] ?? 0))
  return words
}
