// Turns of the event loop in the midst of long work, so that signals and servers are heard.

/** Longest stretch of work between two turns, in milliseconds. */
const STRETCH = 50

/** A function to call often: now and then, by the clock, it lets others have their turn. */
export function createPauses(): () => Promise<void> | undefined {
  let last = performance.now()
  return () => {
    if (performance.now() - last < STRETCH) return undefined
    return new Promise((resolve) =>
      setTimeout(() => {
        last = performance.now()
        resolve()
      }, 0),
    )
  }
}
