// Fault models that strike many outputs at once: rows, columns and tiles (a wrong lane, a wrong address, a lost
// write), and pairs whose errors cancel in a plain sum.
import { assertInteger, assertOneOf, invalidArgument } from '../guards.ts'
import { bytesPerElement } from '../formats/dtypes.ts'
import type { Random } from '../random/types.ts'
import type { Fault, FaultEffect } from '../types/faults.ts'
import type { LinearLayer } from '../types/layers.ts'
import { extentOf, siteDType, sitePopulation } from './sites.ts'
import type { FaultModel } from './models.ts'

/** What happens to each value of a pattern. Default: the same random bit of all of them flips. */
export interface PatternOptions {
  readonly effect?: FaultEffect
}

/** Every output of one row is wrong. */
export function wholeRows(options: PatternOptions = {}): FaultModel {
  return pattern('whole-row', options, (layer, random) => {
    const { rows, columns } = extentOf(layer)
    return { row: random.integer(0, rows - 1), column: 0, height: 1, width: columns }
  })
}

/** Every output of one column is wrong. */
export function wholeColumns(options: PatternOptions = {}): FaultModel {
  return pattern('whole-column', options, (layer, random) => {
    const { rows, columns } = extentOf(layer)
    return { row: 0, column: random.integer(0, columns - 1), height: rows, width: 1 }
  })
}

/**
 * Every output of one tile is wrong. Tiles lie on their grid; those at the edge are cut.
 *
 * @param options.rows - height of a tile; default 8
 * @param options.columns - width of a tile; default 8
 */
export function wholeTiles(options: PatternOptions & { rows?: number; columns?: number } = {}): FaultModel {
  const { rows: height = 8, columns: width = 8 } = options
  assertInteger(height, { where: 'wholeTiles', argument: 'rows', min: 1 })
  assertInteger(width, { where: 'wholeTiles', argument: 'columns', min: 1 })
  return pattern(`whole-tile-${height}x${width}`, options, (layer, random) => {
    const { rows, columns } = extentOf(layer)
    const row = height * random.integer(0, Math.ceil(rows / height) - 1)
    const column = width * random.integer(0, Math.ceil(columns / width) - 1)
    return { row, column, height: Math.min(height, rows - row), width: Math.min(width, columns - column) }
  })
}

/**
 * Two outputs are wrong by +D and -D: a check that sums them with equal weights sees nothing, one with random weights
 * does. D is a power of two, so that both additions are exact unless an output is much larger.
 *
 * @param options.along - outputs of one row (default), of one column, or in different rows and columns
 * @param options.magnitude - smallest and largest |D|, both powers of two; default [1, 1024]
 * @throws FtError `INVALID_ARGUMENT` when drawn for a layer that has no such pair
 */
export function cancellingPairs(
  options: { along?: 'row' | 'column' | 'diagonal'; magnitude?: readonly [number, number] } = {},
): FaultModel {
  const { along = 'row', magnitude = [1, 1024] } = options
  assertOneOf(along, { where: 'cancellingPairs', argument: 'along', values: ['row', 'column', 'diagonal'] })
  const sizes = powersOfTwo(magnitude)
  return {
    name: `cancelling-${along}`,
    population: (layer) => sitePopulation(layer, { kind: 'output' }),
    draw(layer, random) {
      const { rows, columns } = extentOf(layer)
      const [row, otherRow] = along === 'row' ? same(random, rows) : different(random, rows, 'rows')
      const [column, otherColumn] = along === 'column' ? same(random, columns) : different(random, columns, 'columns')
      const size = random.pick(sizes)
      const value = random.bernoulli(0.5) ? size : -size
      return [
        outputFault(layer, { row, column, effect: { kind: 'add', value } }),
        outputFault(layer, { row: otherRow, column: otherColumn, effect: { kind: 'add', value: -value } }),
      ]
    },
  }
}

interface Rectangle {
  row: number
  column: number
  height: number
  width: number
}

function pattern(
  name: string,
  options: PatternOptions,
  draw: (layer: LinearLayer, random: Random) => Rectangle,
): FaultModel {
  return {
    name,
    population: (layer) => sitePopulation(layer, { kind: 'output' }),
    draw(layer, random) {
      const { row, column, height, width } = draw(layer, random)
      const bits = 8 * bytesPerElement(siteDType(layer, 'output'))
      const effect = options.effect ?? { kind: 'flip', bits: [random.integer(0, bits - 1)] }
      return Array.from({ length: height * width }, (_, i) =>
        outputFault(layer, { row: row + Math.floor(i / width), column: column + (i % width), effect }),
      )
    },
  }
}

function outputFault(layer: LinearLayer, at: { row: number; column: number; effect: FaultEffect }): Fault {
  return { layer: layer.id, site: { kind: 'output', row: at.row, column: at.column }, effect: at.effect }
}

function same(random: Random, size: number): [number, number] {
  const index = random.integer(0, size - 1)
  return [index, index]
}

function different(random: Random, size: number, what: string): [number, number] {
  assertInteger(size, { where: 'cancellingPairs', argument: `${what} of the layer`, min: 2 })
  const [first, second] = random.sample(size, 2)
  return [first as number, second as number]
}

/** All powers of two from the smallest to the largest, which must be such themselves. */
function powersOfTwo([smallest, largest]: readonly [number, number]): number[] {
  const powers: number[] = []
  for (let exponent = -100, power = 2 ** -100; exponent <= 100; exponent++, power *= 2) {
    if (power >= smallest && power <= largest) powers.push(power)
  }
  if (powers[0] === smallest && powers.at(-1) === largest) return powers
  const at = { where: 'cancellingPairs', argument: 'magnitude' }
  throw invalidArgument(at, 'two powers of two, ascending, from 2^-100 to 2^100', [smallest, largest])
}
