// The file of sampled flights, as written at build time and read in workers.

/** Features are clipped to this many standard deviations and kept in eight bits. */
export const LARGEST = 5

export interface FlightsHeader {
  readonly rows: number
  /** Training rows, the first ones; the rest is later in time and judges. */
  readonly train: number
  readonly features: readonly string[]
  /** The first so many features are measurements; the others are late rates of categorical levels. */
  readonly known: number
  readonly categorical: readonly { readonly name: string; readonly size: number }[]
}

export interface FlightsSample extends FlightsHeader {
  /** `[rows, features]`. */
  readonly data: Float32Array
  /** `[rows, categorical]`. */
  readonly ids: Uint16Array
  readonly label: Uint8Array
}

/** Reads the file that the page was built with, from a worker. */
export async function loadFlightsSample(): Promise<FlightsSample> {
  // Workers lie in assets/, the file beside the page
  const response = await fetch(new URL('../flights.bin', self.location.href))
  if (!response.ok) throw new Error(`the flights could not be loaded: ${response.status}`)
  return parseFlightsSample(await response.arrayBuffer())
}

/** Header length (uint32), header (JSON), features (int8), ids (uint16), labels (uint8). */
export function parseFlightsSample(buffer: ArrayBuffer): FlightsSample {
  const length = new DataView(buffer).getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(new Uint8Array(buffer, 4, length))) as FlightsHeader
  let at = 4 + length
  const take = (count: number) => buffer.slice(at, (at += count))
  const cells = header.rows * header.features.length
  return {
    ...header,
    data: Float32Array.from(new Int8Array(take(cells)), (value) => (value * LARGEST) / 127),
    ids: new Uint16Array(take(2 * header.rows * header.categorical.length)),
    label: new Uint8Array(take(header.rows)),
  }
}
