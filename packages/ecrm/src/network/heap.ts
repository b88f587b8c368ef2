// How a process that holds shards is started.

/**
 * Frames come and go outside the heap, which itself stays small: with the limit that so small a heap begins with, every few
 * dozen megabytes of them call for a full collection, a quarter of a busy shard's time. In megabytes; nothing is allocated.
 */
export const heapLimit = '--initial-old-space-size=256'
