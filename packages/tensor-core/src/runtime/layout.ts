// The first page of a runtime's memory: what the caller's thread and the workers tell each other.
// Words are 32-bit; addresses in bytes.

/** Nothing lies below: address 0 stays free, and AssemblyScript would put static data here. */
export const controlAddress = 4096
/** Indices of words from `controlAddress` on. */
export const word = {
  /** Goes up with every fork; workers sleep on it. */
  wake: 0,
  /** Tasks of the present fork that nobody has taken. Taking one is a compare-and-exchange. */
  remaining: 1,
  /** Tasks of the present fork that are not done; the caller sleeps on it. */
  pending: 2,
  /** Tasks of the present fork. */
  count: 3,
  /** Module and index among its exports. */
  module: 4,
  fn: 5,
  /** Arguments of a task: float64 values from `argumentsAddress` on. */
  arity: 6,
  /** Length of the first failure's text, 0 while there is none. */
  failure: 7,
  /** 1 when workers should end. */
  stop: 8,
  /** Pages of memory, as the caller last grew it. */
  pages: 9,
} as const

/** Pairs of address and length: the bytes of each loaded module. */
export const modulesAddress = controlAddress + 64 * 4
export const maximumModules = 128
export const failureAddress = modulesAddress + maximumModules * 8
export const failureBytes = 1024
export const argumentsAddress = 8192
export const maximumArguments = (65_536 - argumentsAddress) / 8
export const heapAddress = 65_536
