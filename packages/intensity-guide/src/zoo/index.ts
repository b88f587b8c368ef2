// The built-in networks by name.
import { FtError, type DType, type LinearLayer } from '@ft/core'
import { coral, amsterdam, roundabout, taipei } from './noscope.ts'
import { dlrmBottom, dlrmTop } from './recommendation.ts'
import {
  alexnet,
  densenet161,
  resnet50,
  resnext50,
  shufflenet,
  squeezenet,
  vgg16,
  wideResnet50,
} from './torchvision.ts'
import { trace, type Trace } from './trace.ts'
import { smallTransformer, transformerLayers } from './transformer.ts'

export type { TransformerShape } from './transformer.ts'
export { transformerLayers }

const imageNetworks = {
  squeezenet,
  shufflenet,
  densenet161,
  resnet50,
  alexnet,
  vgg16,
  resnext50,
  'wide-resnet50': wideResnet50,
} satisfies Record<string, (net: Trace) => void>
const videoNetworks = { coral, roundabout, taipei, amsterdam } satisfies Record<string, (net: Trace) => void>
const perceptrons = { 'dlrm-bottom': dlrmBottom, 'dlrm-top': dlrmTop } satisfies Record<string, (net: Trace) => void>

export type ZooName = keyof typeof imageNetworks | keyof typeof videoNetworks | keyof typeof perceptrons | 'transformer'

export const zooNames: readonly ZooName[] = [
  ...(Object.keys(imageNetworks) as (keyof typeof imageNetworks)[]),
  ...(Object.keys(videoNetworks) as (keyof typeof videoNetworks)[]),
  ...(Object.keys(perceptrons) as (keyof typeof perceptrons)[]),
  'transformer',
]

export interface ZooOptions {
  /** Samples a pass. Default 1. */
  batch?: number
  /** Input [height, width]; default [224, 224], and [50, 50] for the video networks. Perceptrons have none. */
  resolution?: readonly [number, number]
  /** Prompt length of the transformer. Default 512. */
  tokens?: number
  /** Default 'float16'. */
  dtype?: DType
}

export interface Network {
  readonly name: string
  readonly layers: readonly LinearLayer[]
}

/**
 * Builds a network's linear layers from its architecture, at any batch and resolution.
 *
 * Cost: under a millisecond; nothing is stored but the architecture.
 *
 * @throws FtError `INVALID_ARGUMENT` for an unknown name (lists the known) or sizes that are not positive integers;
 * `SHAPE_MISMATCH` when the input is too small for the network
 * @see Kosaian and Rashmi, SC'21, section 6.1 (the networks)
 * @example
 * ```ts
 * zoo('resnet50').layers.length // => 54
 * ```
 */
export function zoo(name: ZooName, options: ZooOptions = {}): Network {
  const { batch = 1, tokens = 512, dtype = 'float16' } = options
  const [height, width] = options.resolution ?? (name in videoNetworks ? [50, 50] : [224, 224])
  for (const [what, value] of Object.entries({ batch, tokens, height, width })) {
    if (!Number.isSafeInteger(value) || value < 1) {
      throw new FtError('INVALID_ARGUMENT', `zoo: ${what} must be a positive integer, got ${value}`, { [what]: value })
    }
  }
  if (name === 'transformer') return { name, layers: transformerLayers(smallTransformer, { batch, tokens, dtype }) }
  const build = { ...imageNetworks, ...videoNetworks, ...perceptrons }[name] as ((net: Trace) => void) | undefined
  if (build === undefined) {
    throw new FtError('INVALID_ARGUMENT', `zoo: no network named ${String(name)}; known: ${zooNames.join(', ')}`, {
      name,
    })
  }
  const net = trace({ batch, height, width, channels: 3, dtype })
  build(net)
  return { name, layers: net.layers() }
}
