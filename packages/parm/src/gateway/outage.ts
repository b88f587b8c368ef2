// When no instance of a model is in use: whoever asks waits a little for one to come back, and is refused after that, at once.
import type { Clock } from '../serving/clock.ts'
import type { Instance } from './instance.ts'

export interface Outage {
  /** Sees whether all instances are out of use; to be called whenever one has gone out of use or come back. */
  look(): void
  /** Whether none has been in use for as long as one may wait. Cost: none an instance. */
  isOn(): boolean
  close(): void
}

/** @param o.refuse - called when the wait is over and none has come back */
export function createOutage(o: {
  readonly instances: readonly Instance[]
  readonly clock: Clock
  readonly outageMs: number
  readonly refuse: () => void
}): Outage {
  let since: number | undefined
  let cancel: (() => void) | undefined
  const look = (): void => {
    if (o.instances.some(({ out }) => !out)) {
      cancel?.()
      since = cancel = undefined
    } else if (since === undefined) {
      since = o.clock.now()
      cancel = o.clock.schedule(o.outageMs, () => {
        look()
        if (since !== undefined) o.refuse()
      })
    }
  }
  return {
    look,
    isOn: () => since !== undefined && o.clock.now() - since >= o.outageMs,
    close: () => cancel?.(),
  }
}
