// What is known of one instance behind the gateway.
import type { OipClient } from '../oip/client.ts'

/** One instance behind the gateway. Requests in progress never exceed `concurrency`. */
export interface Instance {
  readonly name: string
  /** Instances of one domain fail together, such as those of one host. */
  readonly domain: string
  readonly model: string
  readonly concurrency: number
  client: OipClient
  outstanding: number
  /** Out of use until a probe succeeds. */
  out: boolean
  /** Why it may not serve although it is ready: it has another model than it should. */
  unfit: string | undefined
  failuresInRow: number
  answered: number
  failed: number
  /** Average of about the last 16 latencies since it came into use. */
  latencyMs: number
  /** Answers since it came into use. */
  judged: number
  /** Pauses for slowness in a row. */
  pauses: number
  /** When it last answered. */
  answeredAtMs: number
}
