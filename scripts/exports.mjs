// Keeps `publishConfig.exports` (what npm users get) equal to `exports` without the workspace-only condition.
//   node scripts/exports.mjs --write | --check
import { readFileSync, readdirSync, writeFileSync } from 'node:fs'

const write = process.argv.includes('--write')
let stale = 0
for (const name of readdirSync('packages')) {
  const file = `packages/${name}/package.json`
  const text = readFileSync(file, 'utf8')
  const manifest = JSON.parse(text)
  if (manifest.private) continue
  const published = {}
  for (const [path, target] of Object.entries(manifest.exports)) {
    if (typeof target === 'string') published[path] = target
    else {
      const { 'ft-source': _source, ...rest } = target
      published[path] = rest
    }
  }
  manifest.publishConfig = { access: 'public', provenance: true, exports: published }
  const next = JSON.stringify(manifest, null, 2) + '\n'
  if (next === text) continue
  if (write) writeFileSync(file, next)
  else {
    stale++
    console.error(`${file}: publishConfig.exports is not what exports says; run npm run exports`)
  }
}
process.exit(stale ? 1 : 0)
