import { describe, expect, it } from 'vitest'
import type * as own from '../src/errors.ts'
import { FtError, inFile, isFtError, throwIfAborted, type FtErrorCode } from '../src/index.ts'

const codes: FtErrorCode[] = [
  'INVALID_ARGUMENT',
  'SHAPE_MISMATCH',
  'UNSUPPORTED',
  'MISSING_PEER',
  'ENGINE_UNAVAILABLE',
  'CORRUPT_DATA',
  'CHECKSUM_MISMATCH',
  'VERSION_UNSUPPORTED',
  'FINGERPRINT_MISMATCH',
  'OVERLOADED',
  'DEADLINE_EXCEEDED',
  'ABORTED',
  'UNRECOVERABLE',
  'FAULT_DETECTED',
  'IO',
]

describe('FtError', () => {
  it.each(codes)('carries %s, a message, frozen details and a cause', (code) => {
    const cause = new RangeError('inner')
    const given = { expected: 4, got: 3 }
    const error = new FtError(code, 'matmul: `b` must have 4 rows, got 3', given, { cause })
    expect(error).toBeInstanceOf(Error)
    expect([error.name, error.code, error.message]).toEqual(['FtError', code, 'matmul: `b` must have 4 rows, got 3'])
    expect(error.cause).toBe(cause)
    expect(error.details).toEqual({ expected: 4, got: 3 })
    expect(Object.isFrozen(error.details) && !Object.isFrozen(given)).toBe(true)
    expect(isFtError(error) && isFtError(error, code)).toBe(true)
    expect(isFtError(error, code === 'IO' ? 'ABORTED' : 'IO')).toBe(false)
  })

  it('has no details and no cause unless given', () => {
    const error = new FtError('IO', 'disk full')
    expect(error.details).toEqual({})
    expect('cause' in error).toBe(false)
    expect(String(error)).toBe('FtError: disk full')
    expect(error.stack).toContain('errors.test.ts')
  })

  it('is known across two copies of the module', async () => {
    const copy: string = '../src/errors.ts?copy' // a query makes the loader run the module again
    const other = (await import(copy)) as typeof own
    expect(other.FtError).not.toBe(FtError)
    const foreign: unknown = new other.FtError('OVERLOADED', 'busy')
    expect(foreign instanceof FtError).toBe(false)
    expect(isFtError(foreign)).toBe(true)
    expect(isFtError(foreign, 'OVERLOADED') && !isFtError(foreign, 'IO')).toBe(true)
    expect(other.isFtError(new FtError('IO', 'x'))).toBe(true)
  })

  it.each([
    ['undefined', undefined],
    ['null', null],
    ['a string', 'IO'],
    ['a plain error', new Error('x')],
    ['an object with the code', { code: 'IO', name: 'FtError' }],
  ])('is not %s', (_, value) => {
    expect(isFtError(value)).toBe(false)
  })
})

describe('throwIfAborted', () => {
  it('throws ABORTED with the reason once the signal has fired, and only then', () => {
    const controller = new AbortController()
    throwIfAborted(controller.signal, 'train')
    throwIfAborted(undefined, 'train')
    controller.abort('enough')
    let caught: unknown
    try {
      throwIfAborted(controller.signal, 'train')
    } catch (error) {
      caught = error
    }
    expect(isFtError(caught, 'ABORTED')).toBe(true)
    expect(caught).toMatchObject({ message: 'train: aborted by its signal', cause: 'enough' })
  })
})

describe('inFile', () => {
  it('names the file in place of the function, and keeps code, details and cause', () => {
    const inner = new FtError('CORRUPT_DATA', 'readCsv: row 3: no number', { row: 3 })
    const failing = (error: unknown) => () => {
      throw error
    }
    const caught = (error: unknown): unknown => {
      try {
        return inFile('a b.csv', failing(error))
      } catch (thrown) {
        return thrown
      }
    }
    const outer = caught(inner) as FtError
    expect([outer.message, outer.code]).toEqual(['a b.csv: row 3: no number', 'CORRUPT_DATA'])
    expect(outer.details).toEqual({ row: 3, path: 'a b.csv' })
    expect(outer.cause).toBe(inner)
    const foreign = new TypeError('a slip')
    expect(caught(foreign)).toBe(foreign)
    expect(inFile('a', () => 3)).toBe(3)
  })
})
