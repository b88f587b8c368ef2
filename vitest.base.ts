// One test set-up for every package: workspace packages are resolved to their sources (condition "ft-source"), and a
// package's own name resolves to its own sources, so that README snippets run as they are written.
import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { defaultClientConditions, defaultServerConditions } from 'vite'
import { defineConfig, type ViteUserConfig } from 'vitest/config'

const source = 'ft-source'

interface PackageJson {
  name: string
  exports?: Record<string, string | Record<string, unknown>>
}

function ownSources(): { find: RegExp; replacement: string }[] {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as PackageJson
  return Object.entries(manifest.exports ?? {}).flatMap(([path, target]) => {
    const file = typeof target === 'string' ? undefined : target[source]
    if (typeof file !== 'string') return []
    const specifier = manifest.name + path.slice(1)
    return [{ find: new RegExp(`^${specifier.replace(/[/.-]/g, '\\$&')}$`), replacement: resolve(file) }]
  })
}

export function ftTests(test: NonNullable<ViteUserConfig['test']> = {}): ViteUserConfig {
  return defineConfig({
    resolve: { conditions: [source, ...defaultClientConditions], alias: ownSources() },
    ssr: { resolve: { conditions: [source, ...defaultServerConditions] } },
    test: {
      include: ['test/**/*.test.ts'],
      reporters: ['default', 'json'],
      outputFile: { json: '.vitest/results.json' },
      testTimeout: 60_000,
      hookTimeout: 60_000,
      // By itself vitest leaves a core free: half the machine where there are two.
      maxWorkers: Math.max(2, availableParallelism() - 1),
      typecheck: { enabled: true, include: ['test/**/*.test-d.ts'], tsconfig: './tsconfig.json' },
      ...test,
    },
  })
}
