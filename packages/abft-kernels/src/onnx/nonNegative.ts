// Which values cannot be negative: what stands behind a ReLU. Such inputs need no pass for their absolute values.
import { floatAttribute, type GraphIndex } from '@ft/onnx'

const makes = new Set(['Relu', 'Sigmoid', 'Softmax', 'HardSigmoid', 'Abs', 'Softplus', 'ReduceSumSquare', 'ReduceL2'])
const keeps = new Set([
  'MaxPool',
  'AveragePool',
  'GlobalAveragePool',
  'GlobalMaxPool',
  'Identity',
  'Dropout',
  'Reshape',
  'Flatten',
  'Squeeze',
  'Unsqueeze',
  'Transpose',
  'LRN',
  'Slice',
  'Split',
  'Sqrt',
])
/** Not negative when all operands are not. */
const combines = new Set(['Add', 'Sum', 'Mul', 'Concat', 'Max', 'Mean'])

export function nonNegativeValues(index: GraphIndex): (value: string) => boolean {
  const known = new Map<string, boolean>()
  const decide = (value: string): boolean => {
    const node = index.producer(value)
    if (node === undefined || (node.domain !== '' && node.domain !== 'ai.onnx')) return false
    if (makes.has(node.opType)) return true
    if (keeps.has(node.opType)) return visit(node.input[0] ?? '')
    if (combines.has(node.opType)) return node.input.every(visit)
    // Clip of operator sets before 11 has its limits as attributes, later ones as inputs.
    if (node.opType === 'Clip') {
      const stored = node.input[1] ? index.constant(node.input[1])?.data : undefined
      const low = ArrayBuffer.isView(stored) ? Number(stored[0]) : floatAttribute(node, 'min', -Infinity)
      return low >= 0
    }
    return false
  }
  const visit = (value: string): boolean => {
    const found = known.get(value)
    if (found !== undefined) return found
    // A value on the way is taken as negative, so that damaged graphs with cycles end.
    known.set(value, false)
    const result = decide(value)
    known.set(value, result)
    return result
  }
  return visit
}
