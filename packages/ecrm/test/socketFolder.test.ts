import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { removeSocketFolder } from '../src/network/socketFolder.ts'

/** Leaves a socket behind, as a shard that was killed does. */
function leaveSocket(path: string): void {
  const code = `require('node:net').createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, 'SIGKILL'))`
  spawnSync(process.execPath, ['-e', code])
  expect(existsSync(path)).toBe(true)
}

describe.skipIf(process.platform === 'win32')('the folder of sockets', () => {
  it('is removed with the sockets that killed shards left; twice is no error', () => {
    const folder = mkdtempSync(join(tmpdir(), 'ft-sockets-'))
    leaveSocket(join(folder, '0'))
    leaveSocket(join(folder, '1'))
    removeSocketFolder(folder)
    expect(existsSync(folder)).toBe(false)
    removeSocketFolder(folder)
  })
})
