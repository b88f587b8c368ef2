// Reports as one self-contained HTML text.
export { htmlReport, type Block, type HtmlReport, type Section } from './html/htmlReport.ts'
