// What a chart shows. Plain data: it can be saved, sent and drawn again.

export interface Axis {
  /** What is measured. */
  readonly label: string
  /** Shown with the label: 'time [ms]'. */
  readonly unit?: string
  /** Default 'linear'; 'category' keeps the order of first appearance (the default where an x is text). */
  readonly scale?: 'linear' | 'log' | 'category'
  /** Smallest and largest value shown; default from the data (bars and histograms include 0 on linear axes). */
  readonly domain?: readonly [number, number]
}

export interface Point {
  readonly x: number | string
  readonly y: number
  /** Ends of the interval of y: a band around a line, an error bar on points and bars. */
  readonly low?: number
  readonly high?: number
}

/** Something drawn in one colour, with one name in the legend. */
export type Series = (
  | /** Connected in the order given; values that cannot be shown leave a gap. */
    { readonly kind: 'line'; readonly points: readonly Point[] }
  | { readonly kind: 'points'; readonly points: readonly Point[] }
  /** Bars from 0 (on log axes from the foot); several series stand beside each other. */
  | { readonly kind: 'bars'; readonly points: readonly Point[] }
  /** Counts of values; several series overlay each other with the same edges. */
  | { readonly kind: 'histogram'; readonly values: ArrayLike<number> }
) & {
  readonly name: string
  /**
   * Which of the palette's colours, dashes and symbols, from 0; default the place among the series. Gives one thing the
   * same look in several charts.
   */
  readonly look?: number
}

/** A straight line across the chart at a value of one axis, with a short label. */
export interface Mark {
  readonly axis: 'x' | 'y'
  readonly value: number
  readonly label: string
}

export interface ChartSpec {
  readonly title: string
  /** One line under the title: settings, seed, what the intervals are. */
  readonly subtitle?: string
  readonly x: Axis
  readonly y: Axis
  readonly series: readonly Series[]
  /** Reference lines: a target, a device's balance point. */
  readonly marks?: readonly Mark[]
  /** Pixels; default 680. */
  readonly width?: number
  /** Pixels of the plot without title and legend; default 340. */
  readonly height?: number
  /** Bins of histograms; default about 30 with round edges. */
  readonly bins?: number
}
