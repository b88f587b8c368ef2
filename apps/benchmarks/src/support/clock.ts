// Clocks of benches, in milliseconds.
import process from 'node:process'

export interface Clock {
  readonly name: string
  readonly now: () => number
}

/**
 * Processor time of this process for engines that compute on the calling thread, so that what else runs on the machine
 * counts as little as it can; elapsed time for engines that compute elsewhere.
 */
export function clockFor(build: string): Clock {
  const here = build.startsWith('wasm') || build.startsWith('reference')
  return here
    ? { name: 'processor time, one thread', now: processorTime }
    : { name: 'elapsed time', now: () => performance.now() }
}

/** Of all threads of this process. */
export function processorTime(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
