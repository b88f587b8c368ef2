// The command, run as a process from its source.
import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadModel, predict, readCsv, takeLabel, treeDot, treeSvg } from '../src/index.ts'
import { makeData } from './support/made.ts'

interface Esbuild {
  build(options: object): Promise<unknown>
}

const folder = mkdtempSync(join(tmpdir(), 'ft-dart-cli-'))
// Beside the package's modules, so that what stays outside the bundle is found.
const program = fileURLToPath(new URL('../.vitest/dart-cli.mjs', import.meta.url))
const file = (name: string): string => join(folder, name)

beforeAll(async () => {
  const { build } = createRequire(createRequire(import.meta.url).resolve('tsup'))('esbuild') as Esbuild
  await build({
    entryPoints: [fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))],
    bundle: true,
    outfile: program,
    format: 'esm',
    platform: 'node',
    conditions: ['ft-source'],
    banner: { js: "import { createRequire as made } from 'node:module'; const require = made(import.meta.url);" },
  })
  const { list, label } = makeData(400, { seed: 6, missing: 0.05 })
  const cell = (value: number | undefined): string => (value === undefined || Number.isNaN(value) ? '' : String(value))
  const line = (row: Float32Array, i: number): string =>
    [...row.subarray(0, 4)]
      .map(cell)
      .concat(['a', 'b', 'c'][i % 3] ?? '', String((label[i] ?? 0) + 3 * (i % 3)))
      .join(',')
  writeFileSync(file('rows.csv'), `x0,x1,x2,x3,kind,y\n${list.map(line).join('\n')}\n`)
  // Of the classes a, b and c only the latter two.
  writeFileSync(
    file('late.csv'),
    `x0,x1,x2,x3,kind,y\n${list
      .map(line)
      .filter((_, i) => i % 3 > 0)
      .join('\n')}\n`,
  )
  writeFileSync(file('unknown.csv'), `x0,x1,x2,x3,kind,y\n1,1,1,1,d,1\n`)
  writeFileSync(
    file('ranks.svm'),
    list
      .map(
        (row, i) =>
          `${Math.min(2, Math.max(0, Math.floor((label[i] ?? 0) / 8)))} qid:${Math.floor(i / 10)} 1:${cell(row[0]) || 0} 4:${cell(row[3]) || 0}`,
      )
      .join('\n'),
  )
})

afterAll(() => {
  rmSync(folder, { recursive: true, force: true })
})

function dart(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [program, ...args], { cwd: folder, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, stdout, stderr })
    })
  })
}

describe('the command', () => {
  it('trains, stops early, saves; predicts what the library predicts; inspects', async () => {
    const trained = await dart(
      'train',
      'rows.csv',
      '--label',
      'y',
      '--valid-share',
      '0.25',
      '--early-stopping',
      '10',
      '--out',
      'm.dart',
      '--json',
    )
    expect([trained.code, trained.stderr]).toEqual([0, ''])
    const result = JSON.parse(trained.stdout) as Record<string, number>
    const model = loadModel(readFileSync(file('m.dart')))
    expect(result['trees']).toBe(model.trees.length)
    expect(result['bestRound']).toBe(model.trees.length)
    expect(result['validation']).toBeLessThan(4)

    const predicted = await dart('predict', 'm.dart', 'rows.csv')
    const { features } = takeLabel(readCsv(readFileSync(file('rows.csv'), 'utf8')), 'y')
    expect(predicted.stdout.trim().split('\n').map(Number)).toEqual([...predict(model, features)])
    const leaves = await dart('predict', 'm.dart', 'rows.csv', '--output', 'leaf', '--out', 'leaves.csv')
    expect(leaves.code).toBe(0)
    expect(readFileSync(file('leaves.csv'), 'utf8').split('\n')[0]?.split(',').length).toBe(model.trees.length)

    const inspected = await dart('inspect', 'm.dart', '--tree', '0', '--svg', 'tree.svg', '--dot', 'tree.dot')
    expect(readFileSync(file('tree.svg'), 'utf8')).toBe(treeSvg(model, 0))
    expect(readFileSync(file('tree.dot'), 'utf8')).toBe(treeDot(model, 0))
    expect(inspected.stdout).toMatch(/objective squared.*features 5/)
    expect(inspected.stdout).toMatch(/kind +3 categories/)
    expect(inspected.stdout).toMatch(/x\d <= /)
  })

  it('reads gzip and UTF-16, and says which file is in another encoding', async () => {
    const text = 'größe,y\n1,2\n2,4\n3,6\n'
    writeFileSync(file('utf8.csv'), text)
    writeFileSync(file('packed.csv.gz'), gzipSync(text))
    writeFileSync(file('wide.csv'), Buffer.from(`\ufeff${text}`, 'utf16le'))
    writeFileSync(file('latin.csv'), Buffer.from(text, 'latin1'))
    writeFileSync(file('broken.csv.gz'), gzipSync(text).subarray(0, 20))
    const fit = (name: string) => dart('train', name, '--label', 'y', '--rounds', '2', '--out', `${name}.dart`)
    expect((await fit('utf8.csv')).code).toBe(0)
    const plain = readFileSync(file('utf8.csv.dart'))
    for (const name of ['packed.csv.gz', 'wide.csv']) {
      expect((await fit(name)).stderr).toBe('')
      expect(readFileSync(file(`${name}.dart`)).equals(plain)).toBe(true)
    }
    expect((await fit('latin.csv')).stderr).toContain('latin.csv is not text in UTF-8')
    expect((await fit('broken.csv.gz')).stderr).toContain('broken.csv.gz: broken gzip')
  })

  it('says under the name of the file what is wrong in it, and does not train on what was not meant', async () => {
    const cases: [string, string, string][] = [
      ['typo.csv', 'x,y\n1,2\n2,n/a\n3,6\n', "typo.csv: row 1: y is 'n/a'; squared takes numbers"],
      ['inf.csv', 'x,y\n1,2\n2,inf\n3,6\n', 'label: row 1 is Infinity'],
      ['minf.csv', 'x,y\n1,2\n-Inf,3\n3,6\n', 'row 1, column x: -Infinity is not a number'],
      ['far.csv', 'x,y\n1,2\n1e999,3\n3,6\n', 'row 1, column x: Infinity is not a number'],
      ['semi.csv', 'x;y\n1;2\n2;4\n', "semi.csv: no ',' in the header x;y; is it --delimiter ';'?"],
      ['tabs.csv', 'x\ty\n1\t2\n2\t4\n', "is it --delimiter $'\\t'?"],
      ['short.csv', 'x,y\n1,2\n2\n', 'short.csv: Invalid Record Length'],
      ['gap.csv', 'x,y\n1,2\n2,\n', 'gap.csv: row 1 has no y'],
      ['other.csv', 'x,z\n1,2\n2,4\n', 'other.csv: no column y; columns are x, z'],
      ['odd.svm', '1 1:2\n2 1:b\n', "odd.svm: line 2: expected a number, got '1:b'"],
    ]
    for (const [name, text, message] of cases) {
      writeFileSync(file(name), text)
      const { code, stderr } = await dart('train', name, '--label', 'y', '--rounds', '2')
      expect([name, code, stderr]).toEqual([name, 2, expect.stringContaining(message)])
    }
    expect((await dart('train', 'semi.csv', '--label', 'y', '--rounds', '2', '--delimiter', ';')).code).toBe(0)
    // A column that is left out may hold what it likes
    expect((await dart('train', 'minf.csv', '--label', 'y', '--rounds', '2', '--ignore', 'x')).stderr).toContain(
      'at least one row and one column',
    )
    const kinds = await dart('train', 'rows.csv', '--label', 'y', '--category', 'y')
    expect([kinds.code, kinds.stderr]).toEqual([2, expect.stringContaining('rows.csv: y is to be read as categories')])
    writeFileSync(file('broken.dart'), 'no model')
    for (const name of ['broken.dart', 'typo.json']) {
      writeFileSync(file(name), 'no model')
      expect((await dart('predict', name, 'rows.csv')).stderr).toMatch(new RegExp(`^${name}: `))
    }
    const none = await dart('train', 'rows.csv', '--label', 'y', '--threads', '0')
    expect([none.code, none.stderr]).toEqual([2, expect.stringContaining('must be a whole number from 1')])
  })

  it.each(['m.json', 'm.ubj', 'm.txt'])('writes and reads %s', async (name) => {
    expect(
      (await dart('train', 'rows.csv', '--label', 'y', '--ignore', 'kind', '--rounds', '20', '--out', name)).code,
    ).toBe(0)
    const { stdout } = await dart('predict', name, 'rows.csv')
    expect(stdout.trim().split('\n').length).toBe(400)
    expect(stdout).not.toMatch(/NaN/)
  })

  it('says before it trains that the model cannot be written, or held by the form asked for', async () => {
    const train = (...more: string[]) => dart('train', 'rows.csv', '--label', 'y', '--rounds', '3', ...more)
    const cases: [string, string][] = [
      ['none/m.dart', 'cannot write none/m.dart'],
      ['.', 'cannot write .: it is a folder'],
      ['m.onnx', 'm.onnx: trees in ONNX have no categories; leave them out (--ignore kind)'],
    ]
    for (const [out, message] of cases) {
      const { code, stdout, stderr } = await train('--out', out)
      expect([code, stdout]).toEqual([2, ''])
      expect(stderr).toContain(message)
    }
    expect((await train('--out', 'm.onnx', '--ignore', 'kind')).code).toBe(0)
    expect((await train('--valid-share', '1')).stderr).toMatch('share of the rows, from 0 to below 1')
    expect((await train('--out', 'm2.dart')).code).toBe(0)
    const predicted = await dart('predict', 'm2.dart', 'rows.csv', '--out', 'none/answers.csv')
    expect([predicted.code, predicted.stderr]).toEqual([2, expect.stringContaining('cannot write none/answers.csv')])
  })

  it('shows rounds and the file on a terminal’s behalf, and classes of text labels', async () => {
    const { code, stdout, stderr } = await dart(
      'train',
      'rows.csv',
      '--label',
      'kind',
      '--objective',
      'softmax',
      '--rounds',
      '5',
      '--dropout',
      'none',
    )
    expect(code).toBe(0)
    expect(stderr).toMatch(/labels are text: 0 a, 1 b, 2 c/)
    expect(stdout).toMatch(/round +mlogloss train/)
    expect(stdout).toMatch(/15 trees of round 5, mlogloss [\d.]+: model\.dart \(own bytes\)/)
  })

  it('numbers the text labels of every file as the training file does', async () => {
    const common = ['rows.csv', '--label', 'kind', '--objective', 'softmax', '--rounds', '15', '--json']
    const { code, stdout } = await dart('train', ...common, '--valid', 'late.csv', '--dropout', 'none', '--rate', '1')
    expect(code).toBe(0)
    // All rows to judge by are rows of training: a model that knows them says b and c, where numbers of the file's own
    // would ask for a and b.
    const model = loadModel(readFileSync(file('model.dart')))
    const { features, label } = takeLabel(readCsv(readFileSync(file('rows.csv'), 'utf8')), 'kind')
    const answers = predict(model, features)
    const late = [...label.keys()].filter((row) => row % 3 > 0)
    const loss = late.reduce((sum, row) => sum - Math.log(answers[3 * row + (label[row] ?? 0)] ?? 0), 0) / late.length
    // The same sum, its probabilities rounded once in another order.
    expect(Math.abs(Number((JSON.parse(stdout) as Record<string, unknown>)['validation']) - loss)).toBeLessThan(1e-9)

    const compared = await dart(
      ...['compare', ...common, '--test', 'late.csv', '--rates', '1', '--folds', '2', '--seeds', '1', '--drops', '0.1'],
    )
    expect(compared.code).toBe(0)
    const [mart] = compared.stdout.split('\n').map((line) => JSON.parse(line || '{}') as { test?: number[] })
    // Guessing costs log 3 = 1.1; a test numbered otherwise costs more than that, for the model is sure of it.
    expect(mart?.test?.[0]).toBeLessThan(1)
  })

  it('reads a file in the kinds of training, though its own categories look like numbers', async () => {
    const zips = ['01234', '02345', 'A1', 'B2']
    const lines = Array.from({ length: 80 }, (_, i) => `${zips[i % 4]},${(i % 4) * 10}`)
    writeFileSync(file('zip.csv'), `zip,y\n${lines.join('\n')}\n`)
    writeFileSync(file('digits.csv'), `zip,y\n${lines.filter((_, i) => i % 4 < 2).join('\n')}\n`)
    writeFileSync(file('fewer.csv'), 'zip\n01234\n02345\nC3\n')
    const options = ['--label', 'y', '--rounds', '40', '--dropout', 'none', '--rate', '0.5', '--out', 'zip.dart']
    const trained = await dart(
      'train',
      'zip.csv',
      ...options,
      '--valid',
      'digits.csv',
      '--early-stopping',
      '5',
      '--json',
    )
    const result = JSON.parse(trained.stdout) as Record<string, number>
    expect(result['trees']).toBeGreaterThan(5)
    expect(result['validation']).toBeLessThan(1)
    const digits = await dart('predict', 'zip.dart', 'digits.csv')
    expect(digits.stderr).toBe('')
    const answers = digits.stdout.trim().split('\n').map(Number)
    answers.forEach((answer, i) => expect(Math.abs(answer - 10 * (i % 2))).toBeLessThan(1.5))
    const fewer = await dart('predict', 'zip.dart', 'fewer.csv')
    expect(fewer.stdout.split('\n').slice(0, 2).map(Number)).toEqual(answers.slice(0, 2))
    expect(fewer.stderr).toMatch(/zip: 1 of 3 cells are categories that training did not see, as 'C3'/)
    const compared = await dart(
      ...[
        'compare',
        'zip.csv',
        '--label',
        'y',
        '--test',
        'digits.csv',
        '--rates',
        '0.5',
        '--folds',
        '2',
        '--rounds',
        '40',
      ],
      ...['--seeds', '1', '--drops', '0.1', '--json'],
    )
    const [mart] = compared.stdout.split('\n').map((line) => JSON.parse(line || '{}') as { test?: number[] })
    expect(mart?.test?.[0]).toBeLessThan(1.5)
  })

  it('gives a LibSVM file the width of training, whatever columns its rows name', async () => {
    const rows = Array.from({ length: 40 }, (_, i) => `${i % 4} 1:${i % 2} ${i % 4 > 1 ? '3:1' : ''}`)
    writeFileSync(file('wide.svm'), rows.join('\n'))
    writeFileSync(file('narrow.svm'), '0 1:0\n1 1:1\n')
    writeFileSync(file('wider.svm'), '0 4:1\n')
    const options = ['--label', '-', '--rounds', '30', '--dropout', 'none', '--rate', '0.5', '--out', 'wide.dart']
    const { code, stdout } = await dart('train', 'wide.svm', ...options, '--valid', 'narrow.svm', '--json')
    expect(code).toBe(0)
    expect((JSON.parse(stdout) as Record<string, unknown>)['validation']).toBeLessThan(0.5)
    const predicted = await dart('predict', 'wide.dart', 'narrow.svm')
    predicted.stdout
      .trim()
      .split('\n')
      .forEach((line, i) => expect(Math.abs(Number(line) - i)).toBeLessThan(0.5))
    expect((await dart('predict', 'wide.dart', 'wider.svm')).stderr).toMatch(/index 4, but there are 3 columns/)
  })

  it('ranks from a LibSVM file', async () => {
    const { code, stdout } = await dart(
      'train',
      'ranks.svm',
      '--label',
      '-',
      '--objective',
      'lambdarank',
      '--rounds',
      '20',
      '--valid-share',
      '0.3',
      '--json',
    )
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ metric: 'ndcg@10' })
  })

  it('compares MART and DART', async () => {
    const args = [
      'compare',
      'rows.csv',
      '--label',
      'y',
      '--rounds',
      '30',
      '--depth',
      '3',
      '--rates',
      '0.1,0.4',
      '--folds',
      '2',
      '--seeds',
      '1,2',
      '--row-fraction',
      '0.8',
      '--drops',
      '0.05',
    ]
    const { code, stdout } = await dart(...args)
    expect(code).toBe(0)
    expect(stdout).toMatch(/MART .*\n.*DART 0\.05/)
    expect(stdout).toMatch(/(is ahead|a tie): rmse/)
    const lines = (await dart(...args, '--json')).stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { method: string; curve: number[]; test: number[] })
    expect(lines.map(({ method }) => method)).toEqual(['MART', 'DART 0.05'])
    expect(lines.every(({ curve, test }) => curve.length === 30 && test.length === 2)).toBe(true)
  })

  beforeAll(async () => {
    await dart('train', 'rows.csv', '--label', 'y', '--rounds', '2', '--out', 'all.dart')
  })

  it.each<[string[], RegExp]>([
    [['train', 'rows.csv', '--label', 'z'], /no column z/],
    [['train', 'none.csv', '--label', 'y'], /cannot read none\.csv/],
    [
      ['train', 'rows.csv', '--label', 'kind', '--objective', 'softmax', '--valid', 'unknown.csv'],
      /row 0: kind is 'd'/,
    ],
    [
      ['compare', 'rows.csv', '--label', 'kind', '--objective', 'softmax', '--test', 'unknown.csv'],
      /row 0: kind is 'd'/,
    ],
    [['predict', 'rows.csv', 'rows.csv'], /not a file of this package/],
    [['train', 'rows.csv'], /required option '--label/],
    [['train', 'rows.csv', '--label', 'y', '--dropout', 'much'], /must be none, a rate from 0 to 1/],
    [['train', 'rows.csv', '--label', 'y', '--objective', 'cox'], /known are squared/],
    [['train', 'rows.csv', '--label', 'y', '--ignore', 'nope'], /no column nope to ignore; columns are x0, x1/],
    [['train', 'rows.csv', '--label', 'y', '--weight', 'kind'], /column kind: 'a' is not a number/],
    [['predict', 'all.dart', 'rows.csv', '--out', '/nonexistent/x'], /cannot write \/nonexistent\/x: ENOENT/],
    [['train', 'rows.csv', '--label', 'y', '--out', 'm.onnx'], /have no categories/],
  ])('%j fails with a sentence', async (args, message) => {
    const result = await dart(...args)
    expect(result.code).toBe(2)
    expect(result.stderr).toMatch(message)
    expect(result.stderr).not.toMatch(/ at .*\.mjs/)
  })
})
