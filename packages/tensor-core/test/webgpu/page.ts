// The checks as a page runs them: on `globalThis.ftChecks`, by suite and name.
import { describeWebgpu } from '../../src/webgpu/device.ts'
import convolutions from './convolutions.ts'
import faults from './faults.ts'
import laws from './laws.ts'
import misuse from './misuse.ts'
import products from './products.ts'

const suites = { products, laws, convolutions, faults, misuse }

const ftChecks = {
  describe: describeWebgpu,
  /** What went wrong, or nothing. */
  async run(suite: string, name: string): Promise<string | undefined> {
    const check = suites[suite as keyof typeof suites].find((c) => c.name === name)
    if (check === undefined) return `no check '${name}'`
    try {
      await check.run()
      return undefined
    } catch (error) {
      return error instanceof Error ? (error.stack ?? error.message) : String(error)
    }
  },
}

export type PageChecks = typeof ftChecks
;(globalThis as { ftChecks?: PageChecks }).ftChecks = ftChecks
