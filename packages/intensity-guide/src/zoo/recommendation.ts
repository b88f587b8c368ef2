// The two perceptrons of DLRM (Naumov 2019) as the SC'21 paper profiles them: 13-512-256-64 and 512-512-256-1.
import type { Trace } from './trace.ts'

function perceptron(net: Trace, inputs: number, widths: readonly number[]): void {
  net.shape = [net.shape[0], 1, 1, inputs]
  widths.forEach((width, index) => net.dense(`fc${index + 1}`, width))
}

export const dlrmBottom = (net: Trace): void => perceptron(net, 13, [512, 256, 64])
export const dlrmTop = (net: Trace): void => perceptron(net, 512, [512, 256, 1])
