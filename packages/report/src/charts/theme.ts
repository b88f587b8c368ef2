// Colours of charts and reports: CSS variables, one set for light and print, one for dark.

/** Eight colours that differ for readers with any common colour vision (after Okabe and Ito, adapted to contrast). */
const light = ['#0b62a8', '#c4510a', '#117a55', '#9a3b86', '#7a6000', '#3f86c6', '#5b5b5b', '#a8273a']
const dark = ['#6db3f2', '#f2a25c', '#4fcf9f', '#e08fce', '#e0c84f', '#a9d3f7', '#b8b8b8', '#f2808f']

export const SERIES_COLOURS = light.length

const variables = (colours: readonly string[], rest: Readonly<Record<string, string>>) =>
  [
    ...colours.map((colour, i) => `--ft-series-${i + 1}:${colour}`),
    ...Object.entries(rest).map(([name, value]) => `--ft-${name}:${value}`),
  ].join(';')

const lightSet = variables(light, {
  text: '#1b1f24',
  muted: '#57606a',
  grid: '#d8dee4',
  background: '#ffffff',
  panel: '#f6f8fa',
  accent: '#0b62a8',
})
const darkSet = variables(dark, {
  text: '#e6edf3',
  muted: '#9aa5b1',
  grid: '#30363d',
  background: '#0d1117',
  panel: '#161b22',
  accent: '#6db3f2',
})

/** Variables of a selector: dark where the reader asks for it, always light on paper. */
export function themeCss(selector: string): string {
  return (
    `${selector}{${lightSet}}` +
    `@media (prefers-color-scheme:dark){${selector}{${darkSet}}}` +
    `@media print{${selector}{${lightSet}}}`
  )
}

/** The colour of the i-th series. Beyond eight they repeat, told apart by dashes. */
export function seriesColour(index: number): string {
  return `var(--ft-series-${(index % SERIES_COLOURS) + 1})`
}

/** Dashes make lines distinct on black-and-white paper. */
export function seriesDash(index: number): string {
  return DASHES[(index + Math.floor(index / SERIES_COLOURS)) % DASHES.length] ?? 'none'
}

const DASHES = ['none', '7 3', '2 3', '9 3 2 3', '12 4']

/** Shapes make points distinct on black-and-white paper. */
export function seriesSymbol(index: number): 'circle' | 'square' | 'triangle' | 'diamond' | 'cross' {
  return SYMBOLS[index % SYMBOLS.length] ?? 'circle'
}

/** A symbol's outline around a place, for the legend. */
export function symbolPath(symbol: ReturnType<typeof seriesSymbol>, { x, y }: { x: number; y: number }): string {
  switch (symbol) {
    case 'circle':
      return `M${x - 4},${y}a4,4 0 1,0 8,0a4,4 0 1,0 -8,0`
    case 'square':
      return `M${x - 3.5},${y - 3.5}h7v7h-7z`
    case 'triangle':
      return `M${x},${y - 4.5}l4.5,8h-9z`
    case 'diamond':
      return `M${x},${y - 5}l3.5,5l-3.5,5l-3.5,-5z`
    case 'cross':
      return `M${x - 1.5},${y - 4.5}h3v3h3v3h-3v3h-3v-3h-3v-3h3z`
  }
}

const SYMBOLS = ['circle', 'square', 'triangle', 'diamond', 'cross'] as const
