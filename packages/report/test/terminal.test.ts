import process from 'node:process'
import { afterEach, describe, expect, it, vi } from 'vitest'
import { createOutput, createProgress, describeProgress, terminalFromEnvironment } from '../src/index.ts'
import { Recorder } from './support/streams.ts'

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

describe('a reader that goes early', () => {
  it('does not end the command; other errors of a stream do', () => {
    const [stdout, stderr] = [new Recorder(false), new Recorder(false)]
    for (let i = 0; i < 3; i++) createOutput({ stdout, stderr })
    expect(stdout.listenerCount('error')).toBe(1)
    for (const stream of [stdout, stderr]) {
      stream.emit('error', Object.assign(new Error('write EPIPE'), { code: 'EPIPE' }))
      expect(() => stream.emit('error', Object.assign(new Error('full'), { code: 'ENOSPC' }))).toThrow('full')
    }
  })
})

describe('tables of an output', () => {
  it('are stacked on a terminal that is too narrow, never in a pipe', () => {
    const wide = [
      { header: 'name', value: () => 'x'.repeat(70) },
      { header: 'other', value: () => 'y'.repeat(40) },
    ]
    const stream = new Recorder(true)
    createOutput({ stdout: stream, stderr: stream }).table([null], wide)
    expect(stream.text).toBe(`\nname   ${'x'.repeat(70)}\nother  ${'y'.repeat(40)}\n\n`)
    const pipe = Object.defineProperty(new Recorder(), 'columns', { value: undefined })
    createOutput({ stdout: pipe, stderr: pipe }).table([null], wide)
    expect(pipe.text).toContain(`${'x'.repeat(70)}  ${'y'.repeat(40)}`)
  })
})

describe('progress', () => {
  it('says phase, total, rate, time left and the note', () => {
    const at = { phase: 'train', done: 250, total: 1000, note: 'loss 0.4' }
    expect(describeProgress(at, 5000)).toBe('train 250/1,000, 50/s, 15 s left, loss 0.4')
    expect(describeProgress({ ...at, done: 0 }, 5000)).toBe('train 0/1,000, loss 0.4')
    expect(describeProgress({ phase: 'train', done: 1000, total: 1000 }, 20_000)).toBe(
      'train 1,000/1,000, 50/s, took 20 s',
    )
    expect(describeProgress({ phase: 'empty', done: 0, total: 0 }, 1)).toBe('empty 0/0')
  })

  it('draws a bar a phase on a terminal and leaves each as it was last', () => {
    const stream = new Recorder(true)
    let time = 0
    const display = createProgress(stream, { now: () => time })
    for (const done of [0, 500, 1000]) {
      display.onProgress({ phase: 'read', done, total: 1000 })
      time += 1000
    }
    display.onProgress({ phase: 'train', done: 1, total: 4, note: 'loss \u001b[31m1' })
    display.stop()
    display.stop()
    expect(stream.text).toContain('█'.repeat(24) + ' 100 % read 1,000/1,000, 500/s, took 2 s')
    expect(stream.text).toContain('█'.repeat(6) + '░'.repeat(18) + '  25 % train 1/4')
    expect(stream.text).toContain('loss ?[31m1')
  })

  it('names the phase in the bar', () => {
    const stream = new Recorder(true)
    const display = createProgress(stream)
    display.onProgress({ phase: 'download', done: 1, total: 2 })
    display.stop()
    expect(stream.text).toContain('download')
  })

  it('survives totals of nothing, totals that grow, steps back and more than all', () => {
    const stream = new Recorder(true)
    const display = createProgress(stream)
    for (const [done, total] of [
      [0, 0],
      [1, 10],
      [5, 20],
      [2, 20],
      [30, 20],
    ] as const) {
      display.onProgress({ phase: 'a', done, total })
    }
    display.stop()
    expect(stream.text).toContain('100 %')
    expect(stream.text).not.toContain('NaN')
  })

  it('draws nothing when the stream is no terminal or it is off', () => {
    for (const display of [new Recorder(false), new Recorder(true)].map((stream, i) => {
      const made = createProgress(stream, { enabled: i === 0 })
      return { made, stream }
    })) {
      display.made.onProgress({ phase: 'a', done: 1, total: 2 })
      display.made.stop()
      expect(display.stream.text).toBe('')
    }
  })
})

describe('the output of a command', () => {
  const run = (options: { json?: boolean; quiet?: boolean; colour?: boolean; progress?: boolean; tty?: boolean }) => {
    const { tty = false, ...rest } = options
    const stdout = new Recorder(tty)
    const stderr = new Recorder(tty)
    const output = createOutput({ stdout, stderr, ...rest })
    output.settings('demo', { seed: 7, rows: 100_000, backend: 'wasm' })
    output.onProgress({ phase: 'read', done: 1, total: 2 })
    output.note('using the cpu')
    output.table([{ a: 1 }], [{ header: 'a', value: (row) => row.a }])
    output.result({ metric: 'auc', value: NaN, low: 0.5 })
    output.conclusion('It works.', { repeat: 'npm run demo -- --seed 7' })
    output.end()
    return { out: stdout.text, err: stderr.text }
  }

  it('has results on standard output and notes on standard error', () => {
    const { out, err } = run({})
    expect(out.split('\n')).toEqual([
      'demo  seed 7, rows 100000, backend wasm',
      '',
      'a',
      '-',
      '1',
      '',
      'It works.',
      'again: npm run demo -- --seed 7',
      '',
    ])
    expect(err).toBe('using the cpu\n')
  })

  it('with --json is one object a line and nothing else, and NaN is text', () => {
    const { out } = run({ json: true, colour: false, progress: true, tty: true })
    expect(out).toBe('{"metric":"auc","value":"NaN","low":0.5}\n')
  })

  it('with --quiet has only results', () => {
    const { out, err } = run({ quiet: true })
    expect(out).toBe('\na\n-\n1\n\nIt works.\n')
    expect(err).toBe('')
  })

  it('draws progress on a terminal only when asked, and colours only when asked', () => {
    expect(run({ progress: true, tty: true }).err).toContain('░')
    expect(run({ progress: false, tty: true }).err).toBe('using the cpu\n')
    expect(run({ progress: true, tty: true, json: true }).err).toBe('using the cpu\n')
    expect(run({ colour: true }).out).toContain('\u001b[1m')
    expect(run({}).out).not.toContain('\u001b')
  })
})

describe('the environment', () => {
  const terminal = (out: boolean, err: boolean) => {
    vi.stubEnv('NO_COLOR', '')
    vi.stubEnv('TERM', 'xterm')
    vi.spyOn(process, 'stdout', 'get').mockReturnValue({ isTTY: out, columns: 120 } as typeof process.stdout)
    vi.spyOn(process, 'stderr', 'get').mockReturnValue({ isTTY: err } as typeof process.stderr)
  }

  it('gives colour and progress to a terminal', () => {
    terminal(true, true)
    expect(terminalFromEnvironment()).toEqual({ colour: true, progress: true, columns: 120 })
    terminal(false, true)
    expect(terminalFromEnvironment()).toEqual({ colour: false, progress: true, columns: 80 })
  })

  it('takes them away when piped, with NO_COLOR, --json, --quiet, --no-progress, or on a dumb terminal', () => {
    terminal(false, false)
    expect(terminalFromEnvironment()).toEqual({ colour: false, progress: false, columns: 80 })
    terminal(true, true)
    expect(terminalFromEnvironment({ json: true })).toMatchObject({ colour: false, progress: false })
    expect(terminalFromEnvironment({ quiet: true })).toMatchObject({ colour: true, progress: false })
    expect(terminalFromEnvironment({ progress: false })).toMatchObject({ colour: true, progress: false })
    vi.stubEnv('NO_COLOR', '1')
    expect(terminalFromEnvironment()).toMatchObject({ colour: false, progress: true })
    vi.stubEnv('NO_COLOR', '')
    vi.stubEnv('TERM', 'dumb')
    expect(terminalFromEnvironment()).toMatchObject({ colour: false, progress: false })
  })
})
