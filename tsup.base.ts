// One build for every package: entries come from the package's own exports map (condition "ft-source"),
// so that a subpath is declared once. The only file that knows the bundler: swap it here.
import { readFileSync } from 'node:fs'
import { defineConfig, type Options } from 'tsup'

interface PackageJson {
  exports: Record<string, string | { 'ft-source'?: string }>
}

export interface FtBuild {
  /** Entries besides the exports map: command lines and process entries, `{ 'cli/main': 'src/cli/main.ts' }`. */
  entries?: Record<string, string>
  options?: Options
}

export function ftBuild({ entries = {}, options = {} }: FtBuild = {}): ReturnType<typeof defineConfig> {
  const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as PackageJson
  const entry: Record<string, string> = { ...entries }
  for (const target of Object.values(manifest.exports)) {
    if (typeof target === 'string' || target['ft-source'] === undefined) continue
    const source = target['ft-source'].replace(/^\.\//, '')
    entry[source.replace(/^src\//, '').replace(/\.ts$/, '')] = source
  }
  return defineConfig({
    entry,
    format: ['esm', 'cjs'],
    // The demo and the benches run what is built and read no types: FT_DTS=0 saves them a minute.
    dts: process.env['FT_DTS'] !== '0',
    splitting: true,
    sourcemap: true,
    clean: true,
    shims: true,
    target: 'node20',
    platform: 'neutral',
    external: [/^node:/],
    ...options,
  })
}
