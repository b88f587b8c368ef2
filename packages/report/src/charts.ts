// Charts as data, drawn to self-contained SVG.
export type { Axis, ChartSpec, Mark, Point, Series } from './charts/spec.ts'
export { chart } from './charts/chart.ts'
