// Image sets with their labels: MNIST, Fashion-MNIST, CIFAR-10.
import { readCifarRecords } from './cifar10.ts'
import { readIdx } from './idx.ts'
import { corrupt } from './internal/corrupt.ts'
import type { Source } from './internal/source.ts'
import type { ByteTensor, FloatTensor } from './tensors.ts'
import { locate, type LocatedSet } from './locate.ts'

export interface LabelledImages {
  /** uint8: `[n, 28, 28]` grey, or `[n, 32, 32, 3]` red, green, blue. */
  readonly images: ByteTensor
  /** Class of each image, an index into `classes`. */
  readonly labels: Uint8Array
  readonly classes: readonly string[]
}

export type ImageSetName = 'mnist' | 'fashion-mnist' | 'cifar-10'

const CLASSES: Readonly<Record<ImageSetName, readonly string[]>> = {
  mnist: ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'],
  'fashion-mnist': [
    'T-shirt/top',
    'Trouser',
    'Pullover',
    'Dress',
    'Coat',
    'Sandal',
    'Shirt',
    'Sneaker',
    'Bag',
    'Ankle boot',
  ],
  'cifar-10': ['airplane', 'automobile', 'bird', 'cat', 'deer', 'dog', 'frog', 'horse', 'ship', 'truck'],
}

/**
 * Reads one part of an image set. CIFAR-10's training part is the class-balanced 10,000 images of its README.
 *
 * @param set - where the set is; default where `locate` finds it
 * @throws FtError `IO` when the set is not there, `CORRUPT_DATA` when a file is not what it should be
 */
export async function readImages(
  name: ImageSetName,
  { part, set = locate(name) }: { readonly part: 'train' | 'test'; readonly set?: LocatedSet },
): Promise<LabelledImages> {
  const classes = CLASSES[name]
  if (name === 'cifar-10') {
    const file = part === 'train' ? 'train_subset_10000.bin' : 'test_batch.bin'
    return { ...(await readCifarRecords(set.source(file))), classes }
  }
  const prefix = part === 'train' ? 'train' : 't10k'
  const imagesFile = set.source(`${prefix}-images-idx3-ubyte`)
  const labelsFile = set.source(`${prefix}-labels-idx1-ubyte`)
  const images = await readIdx(imagesFile)
  const labels = await readIdx(labelsFile)

  const wrong = (source: Source, where: string, expected: string, got: string) =>
    corrupt({ reader: 'readImages', source, where, expected, got })
  const [count, height, width] = images.shape
  if (images.dtype !== 'uint8' || images.shape.length !== 3 || height !== 28 || width !== 28) {
    throw wrong(imagesFile, 'shape', 'uint8 [n, 28, 28]', `${images.dtype} [${images.shape.join(', ')}]`)
  }
  if (labels.dtype !== 'uint8' || labels.shape.length !== 1 || labels.shape[0] !== count) {
    throw wrong(labelsFile, 'shape', `uint8 [${count}], one an image`, `${labels.dtype} [${labels.shape.join(', ')}]`)
  }
  const outside = labels.data.findIndex((label) => label >= classes.length)
  if (outside >= 0) throw wrong(labelsFile, `label ${outside}`, '0..9', `${labels.data[outside]}`)
  return { images: images as ByteTensor, labels: labels.data as Uint8Array, classes }
}

/** uint8 pixels as float32 of 0..1 (pixel / 255), same shape: what ParM's base models take. */
export function pixelsToFloat(images: ByteTensor): FloatTensor {
  // A loop: `from` with a function takes a hundred times as long
  const data = new Float32Array(images.data.length)
  for (let i = 0; i < data.length; i++) data[i] = (images.data[i] as number) / 255
  return { data, shape: images.shape, dtype: 'float32' }
}
