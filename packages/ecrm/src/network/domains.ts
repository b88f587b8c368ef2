// Failure domains: a rack, a machine, whatever dies as one. A stripe's rows lie on k + r servers that follow each other, so
// servers are put in an order in which no k + r neighbours, the ends joined, share a domain.
import { FtError } from '@ft/core'

/**
 * Orders servers by their domains. Servers without a label are each a domain of their own.
 *
 * Law: every `window` neighbours have different domains. Possible exactly when no domain has more than
 * floor(servers / window) of the servers.
 *
 * @returns places in the caller's list, in the new order
 * @throws FtError `INVALID_ARGUMENT` when the labels do not allow it
 */
export function arrangeDomains(domains: readonly (string | undefined)[], window: number): number[] {
  const groups = new Map<string, number[]>()
  domains.forEach((domain, i) => {
    const key = domain === undefined ? `\0${i}` : domain
    groups.set(key, [...(groups.get(key) ?? []), i])
  })
  const rows = Math.floor(domains.length / window)
  const [largest = []] = [...groups.values()].toSorted((a, b) => b.length - a.length)
  if (largest.length > rows) {
    const domain = domains[largest[0]!]
    throw new FtError(
      'INVALID_ARGUMENT',
      `openShards: no ${window} servers of a stripe may share a failure domain, but ${largest.length} of ` +
        `${domains.length} servers are in \`${domain}\` where ${rows} can be; add servers elsewhere, lower k, or leave the labels out`,
      { domain, servers: domains.length, window },
    )
  }
  // Rows of at least `window` places, filled column by column, largest domains first. What does not fill the rows evenly goes
  // into a first column that only the last rows have: two of one domain are then a row apart at least, as those that fill a
  // whole column all begin at the same row.
  const short = rows - (domains.length % rows)
  const ordered = [...groups.values()].toSorted((a, b) => b.length - a.length).flat()
  const table = Array.from({ length: rows }, () => [] as number[])
  for (let next = 0, row = short % rows; next < ordered.length; row = (row + 1) % rows)
    table[row]!.push(ordered[next++]!)
  return table.flat()
}

/** Whether a server may take a place: no other within reach has its domain. */
export function fitsDomain(
  domains: readonly (string | undefined)[],
  { at, window, domain }: { at: number; window: number; domain: string | undefined },
): boolean {
  if (domain === undefined) return true
  const n = domains.length
  return domains.every((other, i) => {
    const apart = Math.min((i - at + n) % n, (at - i + n) % n)
    return i === at || apart >= window || other !== domain
  })
}
