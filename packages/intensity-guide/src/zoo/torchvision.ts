// The eight image networks of the SC'21 paper's figure 8, after the papers that introduced them, in the variants that
// torchvision publishes (ResNet: stride on the 3x3 convolution).
import type { Trace } from './trace.ts'

/** Krizhevsky 2014, "One weird trick", one tower. */
export function alexnet(net: Trace): void {
  net.conv('conv1', 64, { kernel: 11, stride: 4, pad: 2 })
  net.pool({ kernel: 3, stride: 2 })
  net.conv('conv2', 192, { kernel: 5, pad: 2 })
  net.pool({ kernel: 3, stride: 2 })
  net.conv('conv3', 384, { kernel: 3, pad: 1 })
  net.conv('conv4', 256, { kernel: 3, pad: 1 })
  net.conv('conv5', 256, { kernel: 3, pad: 1 })
  net.poolTo(6, 6)
  net.flatten()
  net.dense('fc6', 4096)
  net.dense('fc7', 4096)
  net.dense('fc8', 1000)
}

/** Simonyan and Zisserman 2014, configuration D. */
export function vgg16(net: Trace): void {
  const stages = [
    [64, 2],
    [128, 2],
    [256, 3],
    [512, 3],
    [512, 3],
  ] as const
  stages.forEach(([channels, convs], stage) => {
    for (let i = 1; i <= convs; i++) net.conv(`conv${stage + 1}_${i}`, channels, { kernel: 3, pad: 1 })
    net.pool({ kernel: 2, stride: 2 })
  })
  net.poolTo(7, 7)
  net.flatten()
  net.dense('fc6', 4096)
  net.dense('fc7', 4096)
  net.dense('fc8', 1000)
}

/** Bottleneck networks of He 2015; Zagoruyko 2016 widens them, Xie 2017 groups their 3x3 convolution. */
function bottlenecks(net: Trace, { widthFactor, groups }: { widthFactor: number; groups: number }): void {
  net.conv('conv1', 64, { kernel: 7, stride: 2, pad: 3 })
  net.pool({ kernel: 3, stride: 2, pad: 1 })
  ;[3, 4, 6, 3].forEach((blocks, stage) => {
    const planes = 64 * 2 ** stage
    const width = planes * widthFactor
    for (let block = 0; block < blocks; block++) {
      const id = `layer${stage + 1}.${block}`
      const stride = stage > 0 && block === 0 ? 2 : 1
      const input = net.shape
      net.conv(`${id}.conv1`, width, { kernel: 1 })
      net.conv(`${id}.conv2`, width, { kernel: 3, stride, pad: 1, groups })
      net.conv(`${id}.conv3`, planes * 4, { kernel: 1 })
      const output = net.shape
      if (block === 0) {
        net.shape = input
        net.conv(`${id}.downsample`, planes * 4, { kernel: 1, stride })
      }
      net.shape = [...output] // the sum of both branches
    }
  })
  net.poolTo(1, 1)
  net.dense('fc', 1000)
}

export const resnet50 = (net: Trace): void => bottlenecks(net, { widthFactor: 1, groups: 1 })
export const wideResnet50 = (net: Trace): void => bottlenecks(net, { widthFactor: 2, groups: 1 })
export const resnext50 = (net: Trace): void => bottlenecks(net, { widthFactor: 2, groups: 32 })

/** Huang 2016; growth rate 48, first layer 96, bottleneck 4 x growth. */
export function densenet161(net: Trace): void {
  const growth = 48
  net.conv('conv0', 96, { kernel: 7, stride: 2, pad: 3 })
  net.pool({ kernel: 3, stride: 2, pad: 1 })
  const blocks = [6, 12, 36, 24]
  blocks.forEach((layers, block) => {
    for (let layer = 1; layer <= layers; layer++) {
      const [batch, height, width, channels] = net.shape
      const id = `dense${block + 1}.${layer}`
      net.conv(`${id}.conv1`, 4 * growth, { kernel: 1 })
      net.conv(`${id}.conv2`, growth, { kernel: 3, pad: 1 })
      net.shape = [batch, height, width, channels + growth]
    }
    if (block === blocks.length - 1) return
    net.conv(`transition${block + 1}`, net.shape[3] / 2, { kernel: 1 })
    net.pool({ kernel: 2, stride: 2 })
  })
  net.poolTo(1, 1)
  net.dense('fc', 1000)
}

/** Iandola 2016, version 1.0. */
export function squeezenet(net: Trace): void {
  const fire = (id: string, squeeze: number, expand: number) => {
    net.conv(`${id}.squeeze`, squeeze, { kernel: 1 })
    const squeezed = net.shape
    net.conv(`${id}.expand1x1`, expand, { kernel: 1 })
    net.shape = squeezed
    net.conv(`${id}.expand3x3`, expand, { kernel: 3, pad: 1 })
    net.shape = [squeezed[0], squeezed[1], squeezed[2], 2 * expand]
  }
  const pool = () => net.pool({ kernel: 3, stride: 2, ceil: true })
  net.conv('conv1', 96, { kernel: 7, stride: 2 })
  pool()
  fire('fire2', 16, 64)
  fire('fire3', 16, 64)
  fire('fire4', 32, 128)
  pool()
  fire('fire5', 32, 128)
  fire('fire6', 48, 192)
  fire('fire7', 48, 192)
  fire('fire8', 64, 256)
  pool()
  fire('fire9', 64, 256)
  net.conv('conv10', 1000, { kernel: 1 })
}

/** Ma 2018, version 2, width 1.0. */
export function shufflenet(net: Trace): void {
  net.conv('conv1', 24, { kernel: 3, stride: 2, pad: 1 })
  net.pool({ kernel: 3, stride: 2, pad: 1 })
  const stages = [
    [116, 4],
    [232, 8],
    [464, 4],
  ] as const
  stages.forEach(([channels, units], index) => {
    const half = channels / 2
    for (let unit = 0; unit < units; unit++) {
      const id = `stage${index + 2}.${unit}`
      const stride = unit === 0 ? 2 : 1
      const [batch, height, width, input] = net.shape
      if (unit === 0) {
        net.conv(`${id}.left.depthwise`, input, { kernel: 3, stride, pad: 1, groups: input })
        net.conv(`${id}.left.pointwise`, half, { kernel: 1 })
        net.shape = [batch, height, width, input]
      } else {
        net.shape = [batch, height, width, half]
      }
      net.conv(`${id}.right.pointwise1`, half, { kernel: 1 })
      net.conv(`${id}.right.depthwise`, half, { kernel: 3, stride, pad: 1, groups: half })
      net.conv(`${id}.right.pointwise2`, half, { kernel: 1 })
      net.shape = [net.shape[0], net.shape[1], net.shape[2], channels]
    }
  })
  net.conv('conv5', 1024, { kernel: 1 })
  net.poolTo(1, 1)
  net.dense('fc', 1000)
}
