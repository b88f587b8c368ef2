// Features as the kernels take them, and what a model knows of its columns.

/** Levels of each column's categories, code by code; undefined for numbers. */
export type Levels = readonly (readonly string[] | undefined)[]

/** Features as the kernels take them: `[rows, columns]` float32, row-major. */
export interface FloatMatrix {
  readonly values: Float32Array
  readonly rows: number
  readonly columns: number
  readonly names: readonly string[]
  readonly levels: Levels
}

/** What a model knows of its features: names in order, and levels. */
export interface Schema {
  readonly names: readonly string[]
  readonly levels: Levels
}

/** Categories of one column at most: a cell is one byte, and 0 is missing, 255 unseen. */
export const MOST_LEVELS = 254
/** Code of a category that training did not see. */
export const UNSEEN = 255
