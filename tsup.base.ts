// One build for every package: entries come from the package's own exports map (condition "ft-source"),
// so that a subpath is declared once. The only file that knows the bundler: swap it here.
import { execFileSync } from 'node:child_process'
import { cpSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
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
  const exported: Record<string, string> = {}
  for (const target of Object.values(manifest.exports)) {
    if (typeof target === 'string' || target['ft-source'] === undefined) continue
    const source = target['ft-source'].replace(/^\.\//, '')
    exported[source.replace(/^src\//, '').replace(/\.ts$/, '')] = source
  }
  return defineConfig({
    entry: { ...exported, ...entries },
    format: ['esm', 'cjs'],
    // The demo and the benches run what is built and read no types: FT_DTS=0 saves them a minute.
    dts: process.env['FT_DTS'] === '0' ? false : { entry: declare(exported) },
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

/**
 * Declarations of the exported sources, one file each, by the compiler that checks the types, which is much faster at it than the one
 * that tsup would use. tsup makes one file an entry of those.
 */
function declare(exported: Record<string, string>): Record<string, string> {
  const root = resolve('../..')
  const outDir = mkdtempSync(join(tmpdir(), 'ft-declarations-'))
  process.once('exit', () => rmSync(outDir, { recursive: true, force: true }))
  const config = {
    extends: resolve('tsconfig.json'),
    compilerOptions: {
      ...{ noEmit: false, declaration: true, emitDeclarationOnly: true, outDir, rootDir: root },
      typeRoots: [join(root, 'node_modules/@types')],
    },
    files: Object.values(exported).map((source) => resolve(source)),
    include: [],
  }
  const file = join(outDir, 'tsconfig.json')
  writeFileSync(file, JSON.stringify(config))
  execFileSync(process.execPath, [join(root, 'node_modules/typescript-7/bin/tsc'), '-p', file], { stdio: 'inherit' })
  const emitted = join(outDir, process.cwd().slice(root.length))
  // Those that are written by hand or by another tool the compiler leaves where they are.
  cpSync('src', join(emitted, 'src'), {
    recursive: true,
    filter: (path) => path.endsWith('.d.ts') || statSync(path).isDirectory(),
  })
  return Object.fromEntries(
    Object.entries(exported).map(([name, source]) => [name, join(emitted, source.replace(/\.ts$/, '.d.ts'))]),
  )
}
