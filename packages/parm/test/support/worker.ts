// The worker entry, bundled from the sources: processes cannot run TypeScript themselves.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export const tripleModule = join(root, 'test', 'support', 'triple.mjs')

/** A scratch folder with the bundled entry. */
export async function buildWorker(): Promise<{ folder: string; workerFile: string; remove(): void }> {
  const folder = await bundle({ worker: 'workers/main.ts' })
  return {
    folder,
    workerFile: join(folder, 'worker.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** A scratch folder with the command, which finds its workers beside it, as in the build. */
export async function buildCommand(): Promise<{ folder: string; command: string; remove(): void }> {
  const folder = await bundle({ 'cli/main': 'cli/main.ts', 'workers/main': 'workers/main.ts' })
  return {
    folder,
    command: join(folder, 'cli', 'main.js'),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function bundle(entries: Readonly<Record<string, string>>): Promise<string> {
  const require = createRequire(import.meta.url)
  const { build } = createRequire(require.resolve('tsup'))('esbuild') as {
    build(options: Record<string, unknown>): Promise<unknown>
  }
  const folder = mkdtempSync(join(tmpdir(), 'parm-test-'))
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }')
  await build({
    entryPoints: Object.fromEntries(Object.entries(entries).map(([out, source]) => [out, join(root, 'src', source)])),
    outdir: folder,
    bundle: true,
    format: 'esm',
    platform: 'node',
    conditions: ['ft-source'],
    external: ['onnxruntime-node', '@opentelemetry/api'],
    // For dependencies that are CommonJS
    banner: { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" },
    logLevel: 'error',
  })
  return folder
}
