// Subpath /report: plans as pages and pictures. Apart from the main entry because drawing loads a plotting library.
export { layerOverheadChart, overheadChart, type OverheadOptions } from './figures/overheads.ts'
export { rooflineChart, type RooflineOptions } from './figures/roofline.ts'
export { tradeOffChart } from './figures/tradeOff.ts'
export { planReport, type PlanReportOptions } from './planReport.ts'
