// Turns of the event loop, in Node and in pages.

type Immediate = (run: () => void) => unknown
const immediate = (): Immediate | undefined => (globalThis as { setImmediate?: Immediate }).setImmediate

/** Lets timers and sockets have their turn. */
export function eventsTurn(): Promise<void> {
  const next = immediate()
  return new Promise((resolve) => void (next === undefined ? setTimeout(resolve, 0) : next(resolve)))
}

/** Resolves when what was said before has left; in pages at once: nothing leaves there, and the shortest wait is 4 ms. */
export function saidTurn(): Promise<void> {
  return immediate() === undefined ? Promise.resolve() : eventsTurn()
}
