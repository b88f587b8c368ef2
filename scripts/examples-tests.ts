// Runs a package's examples: each prints what its header says it prints.
//
//   // Prints:
//   //   a line
import { readFileSync, readdirSync } from 'node:fs'
import { afterEach, expect, it, vi } from 'vitest'

/** Declares the tests. Call it from `test/examples.test.ts` with `import.meta.url`. */
export function examplesTests(here: string): void {
  const folder = new URL('../examples/', here)
  afterEach(() => {
    vi.restoreAllMocks()
  })
  it.each(readdirSync(folder).filter((name) => name.endsWith('.ts')))(
    '%s prints what its header says',
    async (name) => {
      const source = readFileSync(new URL(name, folder), 'utf8')
      const header = /^\/\/ Prints:\n((?:\/\/ .*\n)+)/m.exec(source)?.[1] ?? ''
      const printed: string[] = []
      vi.spyOn(console, 'log').mockImplementation((...parts: unknown[]) => void printed.push(parts.join(' ')))
      await import(new URL(name, folder).href)
      expect(printed.length).toBeGreaterThan(0)
      expect(printed.map((line) => `//   ${line}`.trimEnd())).toEqual(header.split('\n').filter(Boolean))
    },
  )
}
