// Closing a server that still answers: whoever has not sent a whole request, or does not read the answer, is not waited for
// without end.

/** A request in progress may take so long where nobody says otherwise. */
export const DRAIN_MS = 30_000

/**
 * Resolves when `closed` does; what keeps it open after `drainMs` is destroyed.
 *
 * @param o.destroy - must make `closed` resolve
 */
export async function drained(
  closed: Promise<void>,
  { drainMs, destroy }: { readonly drainMs: number; readonly destroy: () => void },
): Promise<void> {
  const timer = setTimeout(destroy, drainMs)
  await closed
  clearTimeout(timer)
}
