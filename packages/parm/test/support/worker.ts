// The worker entry, bundled from the sources: processes cannot run TypeScript themselves.
import { mkdtempSync, rmSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))

export const tripleModule = join(root, 'test', 'support', 'triple.mjs')

/** A scratch folder with the bundled entry. */
export async function buildWorker(): Promise<{ folder: string; workerFile: string; remove(): void }> {
  const require = createRequire(import.meta.url)
  const { build } = createRequire(require.resolve('tsup'))('esbuild') as {
    build(options: Record<string, unknown>): Promise<unknown>
  }
  const folder = mkdtempSync(join(tmpdir(), 'parm-test-'))
  const workerFile = join(folder, 'worker.mjs')
  await build({
    entryPoints: [join(root, 'src', 'workers', 'main.ts')],
    outfile: workerFile,
    bundle: true,
    format: 'esm',
    platform: 'node',
    conditions: ['ft-source'],
    external: ['onnxruntime-node'],
    logLevel: 'error',
  })
  return { folder, workerFile, remove: () => rmSync(folder, { recursive: true, force: true }) }
}
