// The wasm engine's suites in a real Chromium: on one thread in a plain page, with threads in an isolated one.
import { describe, expect, it } from 'vitest'
import { browser, browserRequired, runInChromium, type PageReport } from './chromium.ts'

const suite = (name: string): string => `import '../${name}.test.ts'`
const pages = [
  { name: 'a plain page', isolated: false, suites: ['engines/matmul', 'engines/conv2d', 'engines/gelu'] },
  { name: 'an isolated page', isolated: true, suites: ['engines/matmul', 'laws/bits'] },
]

const skip = browser === undefined && !browserRequired
if (skip) console.warn('the suites in Chromium are skipped: no Chromium on PATH')

describe.each(pages)('the wasm engine in $name', ({ isolated, suites }) => {
  it.skipIf(skip)(
    `passes ${suites.join(', ')}`,
    async () => {
      const report: PageReport = await runInChromium({ code: suites.map(suite).join('\n'), isolated })
      expect(report.isolated).toBe(isolated)
      expect(report.results.filter(({ error }) => error !== undefined)).toEqual([])
      const passed = report.results.filter(({ skipped }) => !skipped).map(({ name }) => name)
      expect(passed.length).toBeGreaterThan(20)
      expect(passed.some((name) => name.includes('three threads'))).toBe(isolated)
    },
    300_000,
  )
})
