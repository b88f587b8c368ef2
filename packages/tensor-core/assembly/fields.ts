// What host and kernels agree on: sizes of blocks and the words of a product's descriptor. Plain constants, so that
// AssemblyScript and TypeScript read the same file.

/** Steps of a block along k. A step is 4 bytes of A's row: one float32, or two int16 (a pair of int8 values). */
export const blockSteps = 256
/** Bytes from one packed row of A to the next: a block's steps and a cache line, so that rows fall into other sets. */
export const rowStride = blockSteps * 4 + 64
/** Most rows of a packed block of A: a multiple of every tile's rows. */
export const blockRows = 132
/** Columns whose row sums are added up together: whole panels. */
export const stripColumns = 128

/** Vectors of four steps whose products with the row sums of B are added up in float32, before float64 takes over. */
export const chainVectors = 16

/** Columns of a panel of B: what every step of k holds side by side. */
export const panelColumns = 16
/**
 * Rows that tile sums speak of, with a panel's columns: three register tiles of 2x16 in strict SIMD and of integers, two
 * of 6x8 in relaxed SIMD, whose fused operation needs no register for the product.
 */
export const tileRows = 6

/** Scratch of a thread: packed rows of A, folds of its tiles, a strip of C for the last columns, tiles of C, row sums, a replica. */
export const scratchFolds = blockRows * rowStride
export const scratchStrip = scratchFolds + (blockRows / tileRows) * rowStride
export const scratchTiles = scratchStrip + blockRows * panelColumns * 4
export const scratchSaved = scratchTiles + 3 * 256
/** A strip's row sums while they are added up: 16 bytes a row. */
export const scratchRowSums = scratchSaved + blockRows * 64
/** The replica of a product of few columns: 16 bytes a row. */
export const scratchTurned = scratchRowSums + blockRows * 16
export const scratchBytes = scratchTurned + blockRows * 16

/** Most columns of a panel for which rows in lanes are faster than a wide tile, and of a product whose replica is exact. */
export const narrowColumns = 4

/** What to do beside the product. */
export const emitRowExpected = 1
export const emitRowActual = 2
export const emitStatistics = 4
export const emitColumnOfA = 8
export const emitColumnActual = 16
export const emitNext = 32
export const emitOneSided = 64
export const emitTwoSided = 128
export const emitReplica = 256
export const addBias = 512
export const applyRelu = 1024
export const applyGelu = 2048
/** Least and greatest element of each row, beside the statistics. */
export const emitExtrema = 4096
/** Both sums of a narrow product's columns, block of rows by block of rows, to be judged by `judgeColumns` and by nobody else. */
export const emitScreen = 8192

/** Kinds of A. */
export const aFloats = 0
export const aPatches = 1
export const aInt8 = 2
export const aUint8 = 3

/** The descriptor: byte offsets of 32-bit words. Addresses of rows are those that row 0 would have. */
export const fieldFlags = 0
export const fieldScratch = 4
export const fieldThreads = 8
export const fieldAKind = 12
export const fieldA = 16
export const fieldAStride = 20
/** Elements along k, and steps. */
export const fieldK = 24
export const fieldSteps = 28
export const fieldN = 32
export const fieldB = 36
export const fieldPanels = 40
export const fieldC = 44
export const fieldCStride = 48
export const fieldM = 52
/**
 * `B e` of each range of columns, `fieldRowChecksumStride` bytes apart: [k] and zeros up to a multiple of 4. Of float32 as two
 * float32 vectors, the sums and what rounding them left.
 */
export const fieldRowChecksum = 56
/** [ranges, m] */
export const fieldRowExpected = 60
/** [strips, m] */
export const fieldRowActual = 64
export const fieldRowSum = 68
export const fieldRowMin = 72
export const fieldRowMax = 76
/** [blocks, k] */
export const fieldColumnOfA = 80
/** [blocks, panels * columns] */
export const fieldColumnActual = 84
/** Class of each row, 0 when there is one class. */
export const fieldClassOfRow = 88
export const fieldClasses = 92
/** [blocks, classes, panels * columns] */
export const fieldNext = 96
/** [panels, steps rounded up to a multiple of 4] */
export const fieldFolds = 100
export const fieldFoldStride = 104
export const fieldTileActual = 108
export const fieldTileExpected = 112
export const fieldReplicaExpected = 116
export const fieldBias = 120
export const fieldEvents = 124
export const fieldEventCount = 128
/** A convolution's geometry; channels in elements. */
export const fieldHeight = 132
export const fieldWidth = 136
export const fieldChannels = 140
export const fieldKernelWidth = 144
export const fieldGroupChannels = 148
export const fieldStrideY = 152
export const fieldStrideX = 156
export const fieldPadTop = 160
export const fieldPadLeft = 164
export const fieldDilationY = 168
export const fieldDilationX = 172
export const fieldOutHeight = 176
export const fieldOutWidth = 180
export const fieldKernelHeight = 184
/** Of float32 alone. */
export const fieldRowSquares = 188
export const fieldRanges = 192
export const fieldRowChecksumStride = 196
/** [blocks, narrowColumns, 4]: see `column-screen.ts`. */
export const fieldScreen = 200
export const descriptorBytes = 204

/** Bytes of a block's sums at `fieldScreen`. */
export const screenBytes = narrowColumns * 32

/** A fault inside the kernel: byte offsets of 32-bit words. Rows and columns of one product. */
export const eventSite = 0
export const eventRow = 4
export const eventColumn = 8
/** Index along k, in elements. */
export const eventStep = 12
export const eventEffect = 16
export const eventOperand = 20
export const eventBytes = 32

export const siteOperand = 0
export const siteAccumulator = 1
export const siteOutput = 2

export const effectXor = 0
export const effectAnd = 1
export const effectOr = 2
/** Adds to the pattern as an integer. */
export const effectCarry = 3
/** Sets the pattern. */
export const effectSet = 4
/** Adds a float32 (to float32 values) or an int32. */
export const effectAdd = 5
export const effectDropTerm = 6
export const effectDoubleTerm = 7
