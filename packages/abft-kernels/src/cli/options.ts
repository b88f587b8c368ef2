// Flags that commands share: parsers of their values, engines and layers made of them.
import { accessSync, constants, existsSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { InvalidArgumentError } from 'commander'
import { FtError, type EngineName, type LinearLayer } from '@ft/core'
import { linearLayers, parseModel } from '@ft/onnx'
import { createEngine } from '@ft/tensor-core'

export function whole(text: string): number {
  const value = Number(text)
  if (!Number.isSafeInteger(value) || value < 0) throw new InvalidArgumentError('must be a whole number')
  return value
}

export function positiveWhole(text: string): number {
  const value = whole(text)
  if (value === 0) throw new InvalidArgumentError('must be at least 1')
  return value
}

export function positive(text: string): number {
  const value = Number(text)
  if (!(value > 0) || !Number.isFinite(value)) throw new InvalidArgumentError('must be a number above 0')
  return value
}

/** m x k x n of a product; repeat the flag for several. */
export function shapeOption(text: string, all: LinearLayer[]): LinearLayer[] {
  const [m = 0, k = 0, n = 0, ...rest] = text.split('x').map(Number)
  if (![m, k, n].every((size) => Number.isSafeInteger(size) && size > 0) || rest.length > 0)
    throw new InvalidArgumentError('must read 128x1024x256: rows, length, columns')
  return [...all, { id: text, m, n, k, count: 1, dtype: 'float32', op: { kind: 'matmul', batch: 1 } }]
}

export function inputOption(text: string, all: Record<string, number[]>): Record<string, number[]> {
  const [name = '', shape = ''] = text.split('=')
  if (!name || !/^\d+(x\d+)*$/.test(shape)) throw new InvalidArgumentError('must read name=1x3x224x224')
  return { ...all, [name]: shape.split('x').map(Number) }
}

export function readBytes(path: string): Uint8Array {
  try {
    return readFileSync(path)
  } catch (cause) {
    throw new FtError('IO', `cannot read ${path}`, { path }, { cause })
  }
}

/** Whether a file is there to be read again: not a pipe, a terminal or /dev/null. */
export const isFile = (path: string): boolean => existsSync(path) && statSync(path).isFile()

/**
 * Before work begins whose result goes there.
 *
 * @throws FtError `IO` where a file cannot be written
 */
export function assertWritable(path: string | undefined): void {
  if (path === undefined) return
  try {
    const there = existsSync(path)
    if (there && statSync(path).isDirectory()) throw new Error('it is a folder')
    accessSync(there ? path : dirname(path), constants.W_OK)
  } catch (cause) {
    throw unwritable(path, cause)
  }
}

/** @throws FtError `IO` */
export function writeOut(path: string | undefined, content: string | Uint8Array): void {
  if (path === undefined) return
  try {
    writeFileSync(path, content)
  } catch (cause) {
    throw unwritable(path, cause)
  }
}

function unwritable(path: string, cause: unknown): FtError {
  return new FtError('IO', `cannot write ${path}: ${(cause as Error).message}`, { path }, { cause })
}

export const readText = (path: string): string => new TextDecoder().decode(readBytes(path))

/** Products of an ONNX model that run on an engine: float layers one by one. */
export function layersOf(path: string, inputs: Record<string, number[]>): LinearLayer[] {
  const { layers } = linearLayers(parseModel(readBytes(path)), { inputs })
  const runnable = layers.filter(({ op, dtype }) => dtype === 'float32' && (op.kind === 'conv2d' || op.batch === 1))
  if (runnable.length === 0)
    throw new FtError('INVALID_ARGUMENT', `${path} has no float32 products that a campaign can run`, { path })
  return runnable
}

const engineNames = ['wasm', 'reference', 'webgpu'] as const

export function engineName(text: string): EngineName {
  if (!(engineNames as readonly string[]).includes(text))
    throw new InvalidArgumentError(`must be one of ${engineNames.join(', ')}`)
  return text as EngineName
}

export function openEngine(name: EngineName, options: { instrumented: boolean }) {
  return createEngine(name, name === 'wasm' ? { threads: 1, ...options } : options)
}
