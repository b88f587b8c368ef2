// When a server, or a Redis node, that is only silent is taken for dead.

/** A server that is only silent gets this many times longer while its loss would be one too many. */
const longSuffering = 10

/**
 * Heartbeats that one may miss. A slow server is not a dead one: taking it for dead costs nothing while the code can bear it, and
 * rows when not.
 *
 * @param others - of the other servers, how many are dead or have rows to recover
 */
export const heartbeatsFor = ({ missed, others, r }: { missed: number; others: number; r: number }): number =>
  missed * (others >= r ? longSuffering : 1)
