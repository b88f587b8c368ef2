// Runs what the documentation shows. Every ```ts block of a package's README, and every one in a TSDoc @example, becomes
// a test; `expression // => value` asserts, `// => ~0.87` asserts to two per cent. A block marked ```ts no-run is only
// shown. Blocks of one README run in order, each on its own: a reader copies one block, not two.
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { expect, test } from 'vitest'

interface Snippet {
  name: string
  code: string
}

/**
 * Declares the tests. Call it from `test/docs.test.ts` with `import.meta.url`.
 *
 * @param options.timeout - milliseconds for one snippet; default 60,000
 */
export function documentationTests(here: string, options: { timeout?: number } = {}): void {
  const folder = join(dirname(fileURLToPath(here)), '..')
  const work = join(folder, '.vitest', 'docs')
  rmSync(work, { recursive: true, force: true })
  mkdirSync(work, { recursive: true })
  const snippets = [...readmeSnippets(folder), ...sourceSnippets(folder, work)]
  test('the README shows at least one snippet', () => {
    expect(snippets.length).toBeGreaterThan(0)
  })
  snippets.forEach((snippet, index) => {
    test(snippet.name, { timeout: options.timeout ?? 60_000 }, async () => {
      const file = join(work, `snippet-${index}.ts`)
      writeFileSync(file, compile(snippet.code))
      const checks: { actual: unknown; expected: string; line: string }[] = []
      ;(globalThis as Record<string, unknown>)['__check'] = (actual: unknown, expected: string, line: string) =>
        checks.push({ actual, expected, line })
      await import(/* @vite-ignore */ pathToFileURL(file).href)
      for (const check of checks) compare(check.actual, check.expected, check.line)
    })
  })
}

function blocks(text: string): { code: string; line: number }[] {
  const found: { code: string; line: number }[] = []
  const fence = /^```ts[ \t]*$\n([\s\S]*?)^```[ \t]*$/gm
  for (const match of text.matchAll(fence)) {
    found.push({ code: match[1] ?? '', line: text.slice(0, match.index).split('\n').length })
  }
  return found
}

function readmeSnippets(folder: string): Snippet[] {
  const text = readFileSync(join(folder, 'README.md'), 'utf8')
  return blocks(text).map(({ code, line }) => ({ name: `README.md:${line}`, code }))
}

function sourceSnippets(folder: string, work: string): Snippet[] {
  const files = readdirSync(join(folder, 'src'), { recursive: true, encoding: 'utf8' }).filter(
    (name) => name.endsWith('.ts') && !name.includes('generated'),
  )
  return files.flatMap((name) => {
    const path = join(folder, 'src', name)
    const source = readFileSync(path, 'utf8')
    const exported = [...source.matchAll(/^export (?:async )?(?:function\*?|class|const) (\w+)/gm)].map(
      (match) => match[1] ?? '',
    )
    return [...source.matchAll(/\/\*\*[\s\S]*?\*\//g)].flatMap((comment) => {
      const at = comment[0].indexOf('@example')
      if (at < 0) return []
      const text = comment[0].slice(at).replace(/^[ \t]*\* ?/gm, '')
      return blocks(text).map(({ code }) => {
        const used = exported.filter(
          (word) => new RegExp(`\\b${word}\\b`).test(code) && !new RegExp(`import .*\\b${word}\\b`).test(code),
        )
        const from = relative(work, path).replaceAll('\\', '/')
        const head = used.length ? `import { ${used.join(', ')} } from '${from}'\n` : ''
        return { name: `${name}:${source.slice(0, comment.index).split('\n').length}`, code: head + code }
      })
    })
  })
}

/** Turns `expression // => value` into a check; everything else stays. */
function compile(code: string): string {
  const lines = code.split('\n').map((line) => {
    const match = /^(\s*)(.*?);?\s*\/\/ => (.*)$/.exec(line)
    if (!match) return line
    const [, indent = '', written = '', expected = ''] = match
    const statement = written.replace(/^;/, '')
    const call = (value: string) => `__check(${value}, ${JSON.stringify(expected)}, ${JSON.stringify(line.trim())});`
    const logged = /^console\.log\((.*)\)$/.exec(statement)
    if (logged) return `${indent}${call(logged[1] ?? '')}`
    const declared = /^(?:const|let) (\w+)\b[^=]*=/.exec(statement)
    if (declared) return `${indent}${statement}; ${call(declared[1] ?? '')}`
    return `${indent}${call(statement)}`
  })
  return `declare const __check: (actual: unknown, expected: string, line: string) => void\n${lines.join('\n')}\nexport {}\n`
}

function compare(actual: unknown, expected: string, line: string): void {
  const about = /^~\s*(-?[\d.]+(?:e-?\d+)?)/.exec(expected)
  if (about) {
    const value = Number(about[1])
    expect(typeof actual, line).toBe('number')
    expect(Math.abs((actual as number) - value), line).toBeLessThanOrEqual(Math.abs(value) * 0.02 + 1e-12)
    return
  }
  const value: unknown = new Function(`return (${expected})`)()
  expect(plain(actual), line).toEqual(plain(value))
}

/** Typed arrays compare as arrays. */
function plain(value: unknown): unknown {
  return ArrayBuffer.isView(value) && !(value instanceof DataView)
    ? [...(value as unknown as Iterable<unknown>)]
    : value
}
