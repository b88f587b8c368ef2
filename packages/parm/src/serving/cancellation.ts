// That somebody no longer needs a unit's outputs. An AbortSignal costs microseconds to make and to listen to, several
// times a query: it is made only for those who ask for one.
import { FtError } from '@ft/core'

// One for all: an abort without a reason of its own makes a DOMException with its stack each time
export const notNeeded = new FtError('ABORTED', 'no longer needed', {})

export class Cancellation {
  #cancelled = false
  #abandoned = false
  #callbacks: (() => void)[] = []
  #controller: AbortController | undefined

  get cancelled(): boolean {
    return this.#cancelled
  }

  /** Whether its client has left, rather than had its answer. */
  get abandoned(): boolean {
    return this.#abandoned
  }

  /** Calls back when cancelled, at once when that was before. The returned function takes the call back. */
  onCancel(callback: () => void): () => void {
    if (this.#cancelled) {
      callback()
      return () => undefined
    }
    this.#callbacks.push(callback)
    return () => {
      const at = this.#callbacks.indexOf(callback)
      if (at >= 0) this.#callbacks.splice(at, 1)
    }
  }

  cancel({ abandoned = false }: { readonly abandoned?: boolean } = {}): void {
    if (this.#cancelled) return
    this.#cancelled = true
    this.#abandoned = abandoned
    this.#controller?.abort(notNeeded)
    for (const callback of this.#callbacks.splice(0)) callback()
  }

  get signal(): AbortSignal {
    this.#controller ??= new AbortController()
    if (this.#cancelled) this.#controller.abort(notNeeded)
    return this.#controller.signal
  }
}
