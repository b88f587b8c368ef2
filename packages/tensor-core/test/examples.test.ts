// Every example prints what its header says it prints.
import { readFileSync, readdirSync } from 'node:fs'
import { afterEach, expect, it, vi } from 'vitest'

const folder = new URL('../examples/', import.meta.url)

afterEach(() => {
  vi.restoreAllMocks()
})

it.each(readdirSync(folder))('%s prints what its header says', async (name) => {
  const source = readFileSync(new URL(name, folder), 'utf8')
  const header = /^\/\/ Prints:\n((?:\/\/ .*\n)+)/m.exec(source)?.[1] ?? ''
  const printed: string[] = []
  vi.spyOn(console, 'log').mockImplementation((...parts: unknown[]) => void printed.push(parts.join(' ')))
  await import(new URL(name, folder).href)
  expect(printed.length).toBeGreaterThan(0)
  expect(printed.map((line) => `//   ${line}`.trimEnd())).toEqual(header.split('\n').filter(Boolean))
})
