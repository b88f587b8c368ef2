// Bundles a script that imports this package's sources and runs it: `node run-source.mjs '<module text>'`.
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const root = fileURLToPath(new URL('../..', import.meta.url))
const require = createRequire(import.meta.url)
const { build } = createRequire(require.resolve('tsup'))('esbuild')
const { outputFiles } = await build({
  stdin: { contents: process.argv[2], resolveDir: root, loader: 'ts' },
  bundle: true,
  write: false,
  format: 'esm',
  platform: 'node',
  conditions: ['ft-source'],
  logLevel: 'error',
})
await import(`data:text/javascript;base64,${Buffer.from(outputFiles[0].text).toString('base64')}`)
