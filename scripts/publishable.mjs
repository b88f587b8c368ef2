// Packs every public package and asks publint and attw (are the types wrong?) about the tarball that users would get.
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

const scratch = mkdtempSync(join(tmpdir(), 'ft-pack-'))
const bin = (name) => join('node_modules', '.bin', name)
let failed = 0
try {
  for (const name of readdirSync('packages')) {
    const folder = join('packages', name)
    const manifest = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    if (manifest.private) continue
    const pack = spawnSync('pnpm', ['pack', '--pack-destination', scratch, '--json'], { cwd: folder, encoding: 'utf8' })
    if (pack.status !== 0) {
      failed++
      console.error(`${manifest.name}: pnpm pack failed\n${pack.stdout}${pack.stderr}`)
      continue
    }
    const tarball = JSON.parse(pack.stdout).filename
    for (const [tool, args] of [
      ['publint', ['run', tarball, '--strict']],
      ['attw', [tarball, '--profile', 'node16', '--format', 'ascii']],
    ]) {
      const result = spawnSync(bin(tool), args, { encoding: 'utf8' })
      if (result.status === 0) continue
      failed++
      console.error(`${manifest.name}: ${tool}\n${result.stdout}${result.stderr}`)
    }
    console.log(`${manifest.name}: ${(readFileSync(tarball).length / 1024).toFixed(0)} KiB packed`)
  }
} finally {
  rmSync(scratch, { recursive: true, force: true })
}
process.exit(failed ? 1 : 0)
