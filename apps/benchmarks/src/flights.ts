// Bench "flights": reading three million flights and making the features of the late-arrival task, in a process of its
// own, so that its peak of memory is theirs alone.
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Bench } from './bench.ts'

interface Measured {
  readonly readSeconds: number
  readonly taskSeconds: number
  readonly rows: number
  readonly peakBytes: number
}

export const flights: Bench = {
  name: 'flights',
  title: 'Reading 3,000,000 flights and making their features, one process, wall time, worst of the runs',
  run(context) {
    const child = fileURLToPath(new URL('./flightsChild.js', import.meta.url))
    const runs = Array.from({ length: context.quick ? 1 : 3 }, () => {
      const { stdout, stderr, status } = spawnSync(process.execPath, [child], { encoding: 'utf8' })
      if (status !== 0) throw new Error(`reading the flights failed: ${stderr}`)
      return JSON.parse(stdout) as Measured
    })
    const worst = (of: (run: Measured) => number) => Math.max(...runs.map(of))
    const lines = [
      ['read', 'seconds', worst((run) => run.readSeconds), 's', '<= 8 s'],
      ['features', 'seconds', worst((run) => run.taskSeconds), 's', undefined],
      ['both', 'peak memory', worst((run) => run.peakBytes) / 1e6, 'MB', '< 1500 MB'],
    ] as const
    for (const [what, metric, value, unit, target] of lines)
      context.emit({ case: what, metric, value, unit, n: runs.length, ...(target && { target }) })
    return Promise.resolve()
  },
}
