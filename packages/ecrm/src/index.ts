export { createCode, type ErasureCode, type Unit } from './codes/code.ts'
export { createLayout, type Layout, type LayoutOptions, type Place } from './layout.ts'
