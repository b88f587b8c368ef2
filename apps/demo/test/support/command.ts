// The built command, serving its page in a process of its own.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'

export interface ServedPage {
  readonly url: string
  close(): Promise<void>
}

export async function servePage(entry: string): Promise<ServedPage> {
  const child = spawn(process.execPath, [entry, '--serve'], { stdio: ['ignore', 'pipe', 'inherit'] })
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const url = await new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const found = /http:\/\/127\.0\.0\.1:\d+\//.exec(line)
      if (found) resolve(found[0])
    })
    child.once('error', reject)
    void ended.then(() => reject(new Error('the command ended before it served')))
  })
  return {
    url,
    async close() {
      child.kill('SIGINT')
      await ended
    },
  }
}
