// The subpath for pages: no module of Node is reached from it, and its shards are those of the package, bit for bit.
import { existsSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { isBuiltin } from 'node:module'
import { expect, it } from 'vitest'
import { openShards as openAny } from '../src/index.ts'
import { openShards } from '../src/memory.ts'
import { pushes } from './support/stores.ts'

/** Modules that a bundler would follow from a file: of this package, and names of others. Types are no imports. */
function reached(entry: string): { files: Set<string>; names: Set<string> } {
  const [files, names] = [new Set<string>(), new Set<string>()]
  const visit = (file: string): void => {
    if (files.has(file)) return
    files.add(file)
    const text = readFileSync(file, 'utf8').replace(/^(?:import|export) type \{[^}]*\} from '[^']+'$/gm, '')
    for (const [, name] of text.matchAll(
      /(?:^(?:import|export) (?:\w+|\*[\w ]*|\{[^}]*\}) from |\bimport\()'([^']+)'/gm,
    )) {
      if (name!.startsWith('.')) visit(resolve(dirname(file), name!))
      else names.add(name!)
    }
  }
  visit(entry)
  return { files, names }
}

it('nothing of Node is reached from it', () => {
  const page = reached(resolve('src/memory.ts'))
  expect([...page.files].every((file) => existsSync(file))).toBe(true)
  expect(page.files.size).toBeGreaterThan(30)
  expect([...page.names].filter(isBuiltin)).toEqual([])
  // The whole package reaches them: the walk sees what there is.
  expect([...reached(resolve('src/index.ts')).names].filter(isBuiltin)).toContain('node:net')
})

it('the same defaults and the same bits as `openShards` of the whole package', async () => {
  const tables = [{ rows: 300 }]
  const stores = await Promise.all([openShards({ tables, d: 8 }), openAny({ tables, d: 8, where: 'memory' })])
  const [page, whole] = stores
  for (const store of stores) await pushes(store, 20, (step) => step === 7 && store.kill(1))
  expect(page.layout).toMatchObject({ k: 4, r: 1, servers: 5, seed: 0 })
  expect(await page.recovered()).toEqual([])
  expect(page.replacements).toBe(1)
  expect(await page.snapshot()).toEqual(await whole.snapshot())
  await Promise.all(stores.map((store) => store.close()))
})

it.each([
  [{ where: 'process' as never }, /`where`/],
  [{ sweep: { share: 0 } }, /`sweep.share`/],
  [{ acknowledgement: 'never' as never }, /`acknowledgement`/],
  [{ tables: 3 as never }, /`tables`/],
])('refuses %j', async (options, message) => {
  await expect(openShards({ tables: [{ rows: 10 }], d: 4, ...options })).rejects.toThrow(message)
})
