// The whole story for a page that asks: the command itself in a process of its own, its lines as events.
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { EventStream } from './events.ts'

/** Runs `demo --quick --json` and passes on every line; ends it when the page goes. */
export function streamStory(events: EventStream, options: { readonly entry: string; readonly seed: number }): void {
  const child = spawn(process.execPath, [options.entry, '--quick', '--json', '--seed', String(options.seed)], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const stop = (): void => void child.kill()
  events.gone.addEventListener('abort', stop, { once: true })
  createInterface({ input: child.stdout }).on('line', (line) => {
    try {
      events.send('line', JSON.parse(line))
    } catch {
      // Only whole JSON lines are results
    }
  })
  createInterface({ input: child.stderr }).on('line', (line) => events.send('note', line))
  child.once('error', (error) => events.send('note', `the command could not be started: ${error.message}`))
  child.once('close', (code) => {
    events.gone.removeEventListener('abort', stop)
    events.send('done', { code })
    events.end()
  })
}
