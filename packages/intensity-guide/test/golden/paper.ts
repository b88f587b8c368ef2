import type { ZooName } from '../../src/index.ts'

const hd = [1080, 1920] as const
const small = [224, 224] as const

export interface AggregateRow {
  name: ZooName
  resolution?: readonly [number, number]
  batch: number
  padded: number
  unpadded: number
  layers: number
}

const row = (
  name: ZooName,
  resolution: readonly [number, number] | undefined,
  batch: number,
  padded: number,
  unpadded: number,
  layers: number,
): AggregateRow => ({ name, ...(resolution ? { resolution } : {}), batch, padded, unpadded, layers })

export const aggregates: AggregateRow[] = [
  row('squeezenet', hd, 1, 71.12, 70.99, 26),
  row('shufflenet', hd, 1, 76.57, 75.12, 57),
  row('densenet161', hd, 1, 79.0, 78.99, 161),
  row('resnet50', hd, 1, 122.01, 122.11, 54),
  row('alexnet', hd, 1, 125.46, 124.0, 8),
  row('vgg16', hd, 1, 155.52, 155.55, 16),
  row('resnext50', hd, 1, 220.83, 221.02, 54),
  row('wide-resnet50', hd, 1, 220.83, 221.02, 54),
  row('squeezenet', small, 1, 64.24, 63.76, 26),
  row('shufflenet', small, 1, 45.98, 42.84, 57),
  row('densenet161', small, 1, 62.15, 61.59, 161),
  row('resnet50', small, 1, 72.0, 69.98, 54),
  row('alexnet', small, 1, 17.47, 10.97, 8),
  row('vgg16', small, 1, 69.92, 66.21, 16),
  row('resnext50', small, 1, 98.68, 95.92, 54),
  row('wide-resnet50', small, 1, 98.68, 95.92, 54),
  row('dlrm-bottom', undefined, 1, 7.39, 0.99, 3),
  row('dlrm-top', undefined, 1, 7.68, 0.99, 3),
  row('dlrm-bottom', undefined, 256, 69.99, 69.58, 3),
  row('dlrm-top', undefined, 256, 109.8, 109.72, 3),
  row('dlrm-bottom', undefined, 2048, 91.99, 91.29, 3),
  row('dlrm-top', undefined, 2048, 175.75, 175.57, 3),
  row('coral', undefined, 64, 15.12, 15.1, 4),
  row('roundabout', undefined, 64, 37.9, 37.95, 6),
  row('taipei', undefined, 64, 51.86, 51.78, 4),
  row('amsterdam', undefined, 64, 52.68, 52.61, 4),
  row('coral', undefined, 1, 9.17, 4.51, 4),
  row('roundabout', undefined, 1, 31.11, 31.0, 6),
  row('taipei', undefined, 1, 30.92, 30.68, 4),
  row('amsterdam', undefined, 1, 14.41, 8.79, 4),
]

/** Smallest and largest intensity of a layer, padded. */
export const layerRanges: [ZooName, readonly [number, number] | undefined, number, number, number][] = [
  ['squeezenet', hd, 1, 12.8, 324.83],
  ['shufflenet', hd, 1, 7.88, 276.1],
  ['densenet161', hd, 1, 7.91, 647.32],
  ['resnet50', hd, 1, 7.91, 511.5],
  ['alexnet', hd, 1, 7.92, 302.1],
  ['vgg16', hd, 1, 7.92, 454.34],
  ['resnext50', hd, 1, 7.91, 634.81],
  ['wide-resnet50', hd, 1, 7.91, 634.81],
  ['squeezenet', small, 1, 12.74, 142.84],
  ['shufflenet', small, 1, 7.88, 73.42],
  ['densenet161', small, 1, 7.91, 192.98],
  ['resnet50', small, 1, 7.91, 140.16],
  ['alexnet', small, 1, 7.92, 139.04],
  ['vgg16', small, 1, 7.92, 290.22],
  ['resnext50', small, 1, 7.91, 192.98],
  ['wide-resnet50', small, 1, 7.91, 192.98],
  ['dlrm-bottom', undefined, 1, 5.28, 7.64],
  ['dlrm-top', undefined, 1, 3.94, 7.76],
  ['dlrm-bottom', undefined, 256, 14.63, 102.4],
  ['dlrm-top', undefined, 256, 7.53, 128],
  ['dlrm-bottom', undefined, 2048, 15.4, 157.54],
  ['dlrm-top', undefined, 2048, 7.73, 227.56],
  ['coral', undefined, 64, 6.74, 42.49],
  ['roundabout', undefined, 64, 5.82, 57.52],
  ['taipei', undefined, 64, 5.82, 57.58],
  ['amsterdam', undefined, 64, 6.92, 57.58],
]

/** Work without padding, 2 m n k of the dense product: GFLOP and the batch. */
export const gigaflops: [ZooName, readonly [number, number] | undefined, number, number][] = [
  ['squeezenet', hd, 1, 72.5],
  ['shufflenet', hd, 1, 47.46],
  ['densenet161', hd, 1, 636.07],
  ['resnet50', hd, 1, 339.15],
  ['alexnet', hd, 1, 59.37],
  ['vgg16', hd, 1, 1267.84],
  ['resnext50', hd, 1, 945.72],
  ['wide-resnet50', hd, 1, 945.72],
  ['squeezenet', small, 1, 1.64],
  ['shufflenet', small, 1, 1.14],
  ['densenet161', small, 1, 15.46],
  ['resnet50', small, 1, 8.18],
  ['alexnet', small, 1, 1.43],
  ['vgg16', small, 1, 30.94],
  ['resnext50', small, 1, 22.8],
  ['wide-resnet50', small, 1, 22.8],
  ['dlrm-bottom', undefined, 256, 0.08],
  ['dlrm-top', undefined, 256, 0.2],
  ['dlrm-bottom', undefined, 2048, 0.63],
  ['dlrm-top', undefined, 2048, 1.61],
  ['coral', undefined, 64, 1.04],
  ['roundabout', undefined, 64, 7.69],
  ['taipei', undefined, 64, 12.51],
  ['amsterdam', undefined, 64, 13.66],
]

export type PlanCell = [layers: number, flopPercent?: number]

/** Layers below the ridge (thread-level) and their share of FLOPs, on T4, V100, A100 40 GB, H100. */
export const planCounts: [ZooName, readonly [number, number] | undefined, number, (PlanCell | undefined)[]][] = [
  [
    'resnet50',
    hd,
    1,
    [
      [37, 61],
      [24, 42],
      [37, 61],
      [43, 78],
    ],
  ],
  [
    'wide-resnet50',
    hd,
    1,
    [
      [21, 27],
      [13, 20],
      [21, 27],
      [26, 45],
    ],
  ],
  [
    'resnext50',
    hd,
    1,
    [
      [21, 27],
      [13, 20],
      [21, 27],
      [26, 45],
    ],
  ],
  [
    'vgg16',
    hd,
    1,
    [
      [7, 31],
      [7, 31],
      [7, 31],
      [10, 61],
    ],
  ],
  [
    'alexnet',
    hd,
    1,
    [
      [5, 44],
      [4, 12],
      [5, 44],
      [7, 83],
    ],
  ],
  [
    'densenet161',
    hd,
    1,
    [
      [159, 91],
      [98, 60],
      [159, 91],
      [160, 94],
    ],
  ],
  [
    'squeezenet',
    hd,
    1,
    [
      [25, 89],
      [23, 73],
      [25, 89],
      [25, 89],
    ],
  ],
  [
    'shufflenet',
    hd,
    1,
    [
      [56, 96],
      [51, 76],
      [56, 96],
      [57, 100],
    ],
  ],
  ['squeezenet', small, 1, [[26], undefined, [26], [26]]],
  ['shufflenet', small, 1, [[57], undefined, [57], [57]]],
  ['densenet161', small, 1, [[161], undefined, [161], [161]]],
  ['resnet50', small, 1, [[54], undefined, [54], [54]]],
  ['alexnet', small, 1, [[8], undefined, [8], [8]]],
  ['resnext50', small, 1, [[54], undefined, [54], [54]]],
  ['wide-resnet50', small, 1, [[54], undefined, [54], [54]]],
  ['vgg16', small, 1, [[11, 49], [7, 35], [11, 49], [16]]],
  ['dlrm-bottom', undefined, 2048, [[3], [2], [3], [3]]],
  ['dlrm-top', undefined, 2048, [[2], [1], [2], [3]]],
  ['dlrm-bottom', undefined, 1, [[3], [3], [3], [3]]],
  ['dlrm-top', undefined, 1, [[3], [3], [3], [3]]],
  ['coral', undefined, 64, [[4], [4], [4], [4]]],
  ['roundabout', undefined, 64, [[6], [6], [6], [6]]],
  ['taipei', undefined, 64, [[4], [4], [4], [4]]],
  ['amsterdam', undefined, 64, [[4], [4], [4], [4]]],
]

/** T4 sample rows: [m, n, k], microseconds, then time relative to base: thread-level, global with dot, without. */
export const t4Samples: {
  shape: [number, number, number]
  base: number
  thread: number
  withDot: number
  withoutDot: number
}[] = [
  { shape: [8, 512, 16], base: 5.583, thread: 1.06, withDot: 2.04, withoutDot: 1.3 },
  { shape: [8, 256, 512], base: 17.42, thread: 1.05, withDot: 1.39, withoutDot: 1.1 },
]
