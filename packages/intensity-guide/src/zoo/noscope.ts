// The specialised video networks of NoScope (Kang 2017) that the SC'21 paper profiles: pairs of 3x3 convolutions,
// each pair followed by 2x2 pooling, then two dense layers.
import type { Trace } from './trace.ts'

function noscope(net: Trace, { filters, convs, hidden }: { filters: number; convs: 2 | 4; hidden: number }): void {
  for (let pair = 0; pair < convs / 2; pair++) {
    const channels = filters * 2 ** pair
    net.conv(`conv${2 * pair + 1}`, channels, { kernel: 3, pad: 1 })
    net.conv(`conv${2 * pair + 2}`, channels, { kernel: 3, pad: 1 })
    net.pool({ kernel: 2, stride: 2 })
  }
  net.flatten()
  net.dense('fc1', hidden)
  net.dense('fc2', 2)
}

export const coral = (net: Trace): void => noscope(net, { filters: 16, convs: 2, hidden: 128 })
export const roundabout = (net: Trace): void => noscope(net, { filters: 32, convs: 4, hidden: 32 })
export const taipei = (net: Trace): void => noscope(net, { filters: 64, convs: 2, hidden: 32 })
export const amsterdam = (net: Trace): void => noscope(net, { filters: 64, convs: 2, hidden: 256 })
