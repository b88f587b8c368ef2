// What each set consists of, where it comes from and what its licence allows. The readers and `locate` go by it.

/** A file of a set as its readers name it; on disk it may also carry `.gz`. */
export interface CatalogueFile {
  readonly name: string
  /** SHA-256 of the content, decompressed: as the shared folder has it, and as the official address gives it where that differs. */
  readonly sha256: readonly string[]
}

/** Something to fetch: a file of the set, or an archive that holds files of the set. */
export interface RemoteFile {
  /** File name under the official address and under a mirror's folder of the set. */
  readonly name: string
  /** Size at the official address, in bytes. A mirror may compress differently. */
  readonly bytes: number
  /** SHA-256 of the content, decompressed when it is gzip. */
  readonly sha256: string
  /** For a zip archive: path inside -> file of the set. */
  readonly extract?: Readonly<Record<string, string>>
}

export interface CatalogueEntry {
  readonly kind: 'data' | 'model'
  readonly files: readonly CatalogueFile[]
  readonly licence: string
  /** Where a person gets the set. */
  readonly home: string
  /** Only where the licence allows and the official address gives the files as the readers take them. */
  readonly remote?: { readonly address: string; readonly files: readonly RemoteFile[] }
}

const idx = (sums: readonly [string, string, string, string]): CatalogueFile[] =>
  ['train-images-idx3-ubyte', 'train-labels-idx1-ubyte', 't10k-images-idx3-ubyte', 't10k-labels-idx1-ubyte'].map(
    (name, i) => ({ name, sha256: [sums[i]!] }),
  )

const remoteIdx = (files: readonly CatalogueFile[], bytes: readonly [number, number, number, number]): RemoteFile[] =>
  files.map(({ name, sha256 }, i) => ({ name: `${name}.gz`, bytes: bytes[i]!, sha256: sha256[0]! }))

const MNIST = idx([
  'ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db',
  '65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5',
  '0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7',
  'ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2',
])

const FASHION_MNIST = idx([
  'c59f468a2f672dc815687fe0f83887768d799fd8a3f3276145d20f83aa44d888',
  'bad3541b69d912435c50bb6ba87bec294ff4f6a2e1246121d8633921760443d9',
  '5b4141f0afbad91edebe8549f8fcffe087ea10ca49f1dbef5c9a5cd8815ce37b',
  '0402a96d92fd2663957122ceb108a494c5af83dab82d92729df917d7dec38c34',
])

/** Every set that `locate` knows, by the name of its folder. */
export const CATALOGUE = {
  mnist: {
    kind: 'data',
    files: MNIST,
    licence: 'CC BY-SA 3.0, as its distributors state',
    home: 'http://yann.lecun.com/exdb/mnist/',
    remote: {
      address: 'https://storage.googleapis.com/cvdf-datasets/mnist/',
      files: remoteIdx(MNIST, [9_912_422, 28_881, 1_648_877, 4_542]),
    },
  },
  'fashion-mnist': {
    kind: 'data',
    files: FASHION_MNIST,
    licence: 'MIT, Zalando SE',
    home: 'https://github.com/zalandoresearch/fashion-mnist',
    remote: {
      address: 'http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/',
      files: remoteIdx(FASHION_MNIST, [26_421_880, 29_515, 4_422_102, 5_148]),
    },
  },
  'cifar-10': {
    kind: 'data',
    files: [
      { name: 'train_subset_10000.bin', sha256: ['04c6cd328b41b34a96f8d47d9cdf17b4084435b2322943792975d3781051e586'] },
      { name: 'test_batch.bin', sha256: ['50c4e6960f49e3e6f49ee99cc798cec532000fd1e2c92102f65a2abbc831ae77'] },
    ],
    licence: 'none stated; its authors ask to be cited: research use, not to be published with a package',
    home: 'https://www.cs.toronto.edu/~kriz/cifar.html',
  },
  'free-spoken-digits': {
    kind: 'data',
    files: [
      { name: 'recordings.s16le', sha256: ['dc732c1ef4575ef094a4e36b0bb2fe69fe0d3f1a58af16a3e4f72de27ff1f8ea'] },
      { name: 'index.csv', sha256: ['32ae22ab16bc0c6126dd0574abded8463b7b9ac511469cc8a9e89dec91b3f5e3'] },
    ],
    licence: 'CC BY-SA 4.0',
    home: 'https://github.com/Jakobovski/free-spoken-digit-dataset',
  },
  'adult-census': {
    kind: 'data',
    files: [
      {
        name: 'adult.data',
        sha256: [
          'ea895aae047aa83ca757e3024a029be8b11806c656ad2c5b1efd8cec28af19ad',
          '5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d',
        ],
      },
      {
        name: 'adult.test',
        sha256: [
          '10ab70aad17401e173c0096b6775f78362409517422ceb26c80f5f04dbc2e02e',
          'a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05',
        ],
      },
    ],
    licence: 'CC BY 4.0 (UCI Machine Learning Repository, Becker and Kohavi 1996)',
    home: 'https://archive.ics.uci.edu/dataset/2/adult',
    remote: {
      address: 'https://archive.ics.uci.edu/ml/machine-learning-databases/adult/',
      files: [
        {
          name: 'adult.data',
          bytes: 3_974_305,
          sha256: '5b00264637dbfec36bdeaab5676b0b309ff9eb788d63554ca0a249491c86603d',
        },
        {
          name: 'adult.test',
          bytes: 2_003_153,
          sha256: 'a2a9044bc167a35b2361efbabec64e89d69ce82d9790d2980119aac5fd7e9c05',
        },
      ],
    },
  },
  'adult-numeric': {
    kind: 'data',
    files: [
      { name: 'train.csv', sha256: ['3a156904e5d8d715f75fe7f7e80cf9db529d1886c1fcc397ff5e3e048b5ae067'] },
      { name: 'test.csv', sha256: ['50a34e95456e690a978b36d317452a03e9cdb57772e730483ab0143e24b43c4e'] },
      { name: 'levels.json', sha256: ['86ed18831cb83655001e1ed126865107bb6fb7f57d233910810fea8e89036396'] },
    ],
    licence: 'CC BY 4.0 (UCI Machine Learning Repository, Becker and Kohavi 1996)',
    home: 'https://archive.ics.uci.edu/dataset/2/adult',
  },
  'california-housing': {
    kind: 'data',
    files: [
      { name: 'train.csv', sha256: ['01d579ecb8f1aea4a35d1817d028cb0f56f11c8b75dbdb0e858d8bcd87f04210'] },
      { name: 'test.csv', sha256: ['916bcb5bede2a908a6508a00cbb31223f60c1bb34e5fffd9b198ecf450b6bc46'] },
    ],
    licence: 'Apache-2.0 (the project ageron/handson-ml); the data are from StatLib',
    home: 'https://github.com/ageron/handson-ml',
  },
  'mq2008-fold1': {
    kind: 'data',
    files: [
      { name: 'train.csv', sha256: ['35c117c1b61d010621ce89feea6bdae8c43b5692e25064345bc43b20d5b9d4bd'] },
      { name: 'test.csv', sha256: ['aa1cebf05d4fb2204f0df9ec58acdf5b2376db5cc31218942e6d31d03a7f6a0b'] },
    ],
    licence: 'LETOR 4.0, Microsoft Research: research use, not to be published with a package',
    home: 'https://www.microsoft.com/en-us/research/project/letor-learning-rank-information-retrieval/',
  },
  'criteo-kaggle-8k': {
    kind: 'data',
    files: [
      { name: 'train.tsv', sha256: ['2b0614035f6c931dc4ac2c1a1a26fa954f2b9231703f3a77bcdd53d9d9f29872'] },
      { name: 'dev.tsv', sha256: ['7ac8a164e43a9903be3d43e640bcd464cfa0d96d7a652ec8ef8a33fe97cac6b9'] },
      { name: 'test.tsv', sha256: ['3a7a78b694945482aede520e68300b0e2748603363072822cfbbb9f72d0dfd9a'] },
    ],
    licence: 'Criteo, released for the Kaggle challenge: research use, not to be published with a package',
    home: 'https://www.kaggle.com/c/criteo-display-ad-challenge',
  },
  'movielens-latest-small': {
    kind: 'data',
    files: [
      {
        name: 'ratings.csv',
        sha256: [
          '80da8b3393dae325bbba5a31f291a6ba55d8d4f4396de3c456f2c1635b1b70e8',
          'aa289ca83157595d0df6aea1be6a4ded676ddc4385472e8313a8ed9805352646',
        ],
      },
      {
        name: 'movies.csv',
        sha256: [
          'c47b783f23eb304413307e1bb05335e427737da20ec8d3c0e96335567dd5f3dc',
          '5a5f32dd9bb3797b8e728a1b98958789d2b13f294a69fdfbc5727f8a9611aa07',
        ],
      },
    ],
    licence:
      'GroupLens: research use, may be passed on under the same terms, not commercial; cite Harper and Konstan 2015',
    home: 'https://grouplens.org/datasets/movielens/',
    remote: {
      address: 'https://files.grouplens.org/datasets/movielens/',
      files: [
        {
          name: 'ml-latest-small.zip',
          bytes: 978_202,
          sha256: '696d65a3dfceac7c45750ad32df2c259311949efec81f0f144fdfb91ebc9e436',
          extract: { 'ml-latest-small/ratings.csv': 'ratings.csv', 'ml-latest-small/movies.csv': 'movies.csv' },
        },
      ],
    },
  },
  'parm-base-models': {
    kind: 'model',
    files: [
      { name: 'manifest.json', sha256: ['bc955faca1bab1b91b1bf57720f274673feb9e361d485d08146cc8996980f13f'] },
      { name: 'mnist-base-mlp.f32', sha256: ['c0dc141a5daecb15f984f8339c696a17ecacdde3188ccded2598c227166b76a8'] },
      {
        name: 'fashion-mnist-base-mlp.f32',
        sha256: ['2a30b23ae7534210304ce580886f133d0d0c2a2104a6e0e4ae9094e5a8f120d7'],
      },
      { name: 'mnist-logistic.f32', sha256: ['2a1b5e9d724f72d07e894f51f0f3c8b8f5baa05359fc485d7c7663b5cd1c65fe'] },
    ],
    licence: 'Apache-2.0, Carnegie Mellon University',
    home: 'https://github.com/Thesys-lab/parity-models',
  },
  'onnx-light': {
    kind: 'model',
    files: [
      { name: 'light_bvlc_alexnet.onnx', sha256: ['2afa78cef5a88aed9d6e3d63fb92bd330c9177ac150d19189c6b3e7204ba0212'] },
      { name: 'light_densenet121.onnx', sha256: ['49ddb5712797d6164f1d864bedaad927de4f3909ad1b4ba390a92c2f8150e9f6'] },
      { name: 'light_inception_v1.onnx', sha256: ['bb7a0e6c370c709f5615eeef961b43628de13d0009ae4d6f4bfb0d5aea5d8270'] },
      { name: 'light_inception_v2.onnx', sha256: ['224d77d55b26559a959db627c3f417a623fbf3b3000d25f0939327aa935d933f'] },
      { name: 'light_resnet50.onnx', sha256: ['05e77a5c9c9ce0913f549a50d6ebaced5e0ff6817b61e09bae26e4c5bd9055e4'] },
      { name: 'light_shufflenet.onnx', sha256: ['c6f406d62be36d6b4572542c0950a2abd59f56237068793290680bba89fbafe5'] },
      { name: 'light_squeezenet.onnx', sha256: ['770b0f3c8623e18bf58b53754d710051b4c268248422142980a132bbe6dfe908'] },
      { name: 'light_vgg19.onnx', sha256: ['8e547d732b3a3d66eeb8fa64a026adb994d3db552f0bbd52e436d06300d89afe'] },
      { name: 'light_zfnet512.onnx', sha256: ['6444bb58b98c3d14f551a3bdb83eea9e5db7e147790db3115c447e9c9a8338b0'] },
    ],
    licence: 'Apache-2.0',
    home: 'https://github.com/onnx/onnx/tree/main/onnx/backend/test/data/light',
  },
  'silero-vad': {
    kind: 'model',
    files: [
      { name: 'silero_vad_v5.onnx', sha256: ['2623a2953f6ff3d2c1e61740c6cdb7168133479b267dfef114a4a3cc5bdd788f'] },
    ],
    licence: 'MIT',
    home: 'https://github.com/snakers4/silero-vad',
  },
} as const satisfies Record<string, CatalogueEntry>

export type SetName = keyof typeof CATALOGUE

/** Sets that `download` can fetch. */
export type DownloadableName = {
  [N in SetName]: (typeof CATALOGUE)[N] extends { remote: object } ? N : never
}[SetName]

export const entryOf = (name: SetName): CatalogueEntry => CATALOGUE[name]
