// Names of categories under a chart: beside each other when there is room, else slanted, else only some of them.

export interface NameLayout {
  /** Degrees; 0 when the names fit beside each other. */
  readonly rotate: number
  /** Extra pixels below and to the left for slanted names. */
  readonly height: number
  readonly left: number
  /** Every how many-th name is shown. */
  readonly every: number
}

export function layoutNames(categories: readonly string[], width: number): NameLayout {
  const longest = Math.max(0, ...categories.map((name) => shortened(name).length))
  const room = width - 80
  if (categories.length * (longest + 1) * 6.5 <= room) return { rotate: 0, height: 0, left: 0, every: 1 }
  const every = Math.max(1, Math.ceil((categories.length * 16) / room))
  return { rotate: -35, height: Math.round(longest * 4.2), left: Math.round(longest * 5.4), every }
}

/** Long names lose their middle: beginnings and ends tell layers apart. */
export function shortened(name: string): string {
  return name.length > 24 ? `${name.slice(0, 11)}…${name.slice(-12)}` : name
}
