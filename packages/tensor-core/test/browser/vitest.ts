// What the suites use of vitest, for a page: the very test files that run in Node are bundled with this in its place.
// Results are left in `ftResults`, where the Node side of the test picks them up.

export interface PageResult {
  readonly name: string
  /** Undefined when the test passed. */
  readonly error: string | undefined
  readonly skipped: boolean
}

type Body = () => unknown

interface Suite {
  readonly name: string
  readonly before: Body[]
  readonly after: Body[]
  readonly parts: (Suite | { readonly name: string; readonly body: Body; readonly skipped: boolean })[]
}

const newSuite = (name: string): Suite => ({ name, before: [], after: [], parts: [] })
const root = newSuite('')
let current = root

export function describe(name: string, body: () => void): void {
  const outer = current
  current = newSuite(name)
  outer.parts.push(current)
  body()
  current = outer
}

type Each = <T>(cases: readonly T[]) => (name: string, body: (...values: never[]) => unknown) => void

/** `%i` and `%s` stand for a case's values in their order, `$name` for its field. */
function title(name: string, value: unknown): string {
  const values = Array.isArray(value) ? [...(value as unknown[])] : [value]
  const named = name.replace(/\$(\w+)/g, (_, field: string) => String((value as Record<string, unknown>)[field]))
  return named.replace(/%[ijs]/g, () => String(values.shift()))
}

const each =
  (define: (name: string, body: () => unknown) => void): Each =>
  (cases) =>
  (name, body) => {
    for (const value of cases)
      define(title(name, value), () => body(...((Array.isArray(value) ? value : [value]) as never[])))
  }

describe.each = each(describe)

export function it(name: string, body: Body): void {
  current.parts.push({ name, body, skipped: false })
}
const skip = (name: string, body: Body): void => void current.parts.push({ name, body, skipped: true })
it.each = each(it)
it.skipIf = (condition: boolean): typeof skip => (condition ? skip : it)

export const beforeAll = (body: Body): void => void current.before.push(body)
export const afterAll = (body: Body): void => void current.after.push(body)

function show(value: unknown): string {
  return typeof value === 'object' && value !== null ? JSON.stringify(value) : String(value)
}

function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a.constructor !== b.constructor) return false
  const defined = (o: object): string[] => Object.keys(o).filter((key) => o[key as never] !== undefined)
  const keys = defined(a)
  return keys.length === defined(b).length && keys.every((key) => equal(a[key as never], b[key as never]))
}

export function expect(actual: unknown, message = ''): Record<string, (expected: never, more?: number) => void> {
  const check =
    (what: string, holds: (expected: never, more?: number) => boolean) =>
    (expected: never, more?: number): void => {
      if (!holds(expected, more)) throw new Error(`${message} ${show(actual)} is not ${what} ${show(expected)}`.trim())
    }
  return {
    toBe: check('', (expected) => Object.is(actual, expected)),
    toEqual: check('equal to', (expected) => equal(actual, expected)),
    toBeLessThanOrEqual: check('at most', (expected) => (actual as number) <= (expected as number)),
    toBeCloseTo: check(
      'close to',
      (expected, digits = 2) => Math.abs((actual as number) - (expected as number)) < 10 ** -digits / 2,
    ),
  }
}

async function run(suite: Suite, path: string, results: PageResult[]): Promise<void> {
  const name = (part: string): string => (path === '' ? part : `${path} > ${part}`)
  const attempt = async (what: string, body: Body): Promise<boolean> => {
    try {
      await body()
      return true
    } catch (error) {
      const text = error instanceof Error ? (error.stack ?? error.message) : String(error)
      results.push({ name: what, error: text, skipped: false })
      return false
    }
  }
  for (const body of suite.before) if (!(await attempt(name('beforeAll'), body))) return
  for (const part of suite.parts) {
    if ('parts' in part) await run(part, name(part.name), results)
    else if (part.skipped) results.push({ name: name(part.name), error: undefined, skipped: true })
    else if (await attempt(name(part.name), part.body))
      results.push({ name: name(part.name), error: undefined, skipped: false })
  }
  for (const body of suite.after) await attempt(name('afterAll'), body)
}

// Modules with top-level await define their tests a little later than this one runs.
globalThis.addEventListener('ft-defined', () => {
  const results: PageResult[] = []
  void run(root, '', results).then(() => Object.assign(globalThis, { ftResults: results }))
})
