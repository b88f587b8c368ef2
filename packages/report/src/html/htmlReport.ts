// One HTML file with everything inside: text, tables and charts. No script, no request, nothing from outside.
import { chart } from '../charts/chart.ts'
import type { ChartSpec } from '../charts/spec.ts'
import type { FormattedTable } from '../table.ts'
import { escapeHtml } from './escape.ts'
import { reportCss } from './style.ts'

/** A part of a section. All text is shown as text: markup in it is escaped. */
export type Block =
  | { readonly kind: 'text'; readonly text: string }
  /** Kept as it is, with its line ends: commands, logs. */
  | { readonly kind: 'code'; readonly text: string }
  | { readonly kind: 'table'; readonly table: FormattedTable; readonly caption?: string }
  | { readonly kind: 'chart'; readonly chart: ChartSpec }

/** Pixels of the page's column. */
const PAGE_WIDTH = 938

export interface Section {
  readonly heading: string
  readonly blocks: readonly Block[]
}

export interface HtmlReport {
  readonly title: string
  /** What was found, in a sentence. */
  readonly lead?: string
  /** Settings and key figures at the top: seed, device, rows. */
  readonly facts?: readonly { readonly name: string; readonly value: string | number }[]
  readonly sections: readonly Section[]
  /** Last line: how to make this report again. */
  readonly footer?: string
}

/**
 * A report as one HTML text that can be saved, sent and printed.
 *
 * Guarantees: no script and no outside resource (a content security policy in the page forbids both); every text is
 * escaped; light and dark by the reader's setting, light on paper; a table of contents from three sections on.
 *
 * @throws FtError `INVALID_ARGUMENT` for a chart that cannot be drawn
 */
export function htmlReport(report: HtmlReport): string {
  const { title, lead, facts = [], sections, footer } = report
  const body = [
    `<h1>${escapeHtml(title)}</h1>`,
    lead === undefined ? '' : `<p class="lead">${escapeHtml(lead)}</p>`,
    factsHtml(facts),
    sections.length >= 3 ? contentsHtml(sections) : '',
    ...sections.map(sectionHtml),
    footer === undefined ? '' : `<footer>${escapeHtml(footer)}</footer>`,
  ]
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>${escapeHtml(title)}</title>
<style>${reportCss}</style>
</head>
<body>
<main>
${body.filter((part) => part !== '').join('\n')}
</main>
</body>
</html>
`
}

function factsHtml(facts: NonNullable<HtmlReport['facts']>): string {
  if (facts.length === 0) return ''
  const items = facts.map(({ name, value }) => {
    return `<div><dt>${escapeHtml(name)}</dt><dd>${escapeHtml(String(value))}</dd></div>`
  })
  return `<dl class="facts">${items.join('')}</dl>`
}

function contentsHtml(sections: readonly Section[]): string {
  const items = sections.map(({ heading }, i) => `<li><a href="#section-${i + 1}">${escapeHtml(heading)}</a></li>`)
  return `<nav aria-label="Contents"><ol>${items.join('')}</ol></nav>`
}

function sectionHtml({ heading, blocks }: Section, index: number): string {
  const parts = [`<h2 id="section-${index + 1}">${escapeHtml(heading)}</h2>`, ...blocks.map(blockHtml)]
  return `<section>\n${parts.join('\n')}\n</section>`
}

function blockHtml(block: Block): string {
  switch (block.kind) {
    case 'text':
      return block.text
        .split(/\n{2,}/)
        .map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`)
        .join('\n')
    case 'code':
      return `<pre><code>${escapeHtml(block.text)}</code></pre>`
    case 'table':
      return tableHtml(block.table, block.caption)
    case 'chart':
      return `<figure>${chart({ width: PAGE_WIDTH, ...block.chart })}</figure>`
  }
}

function tableHtml({ headers, rows }: FormattedTable, caption: string | undefined): string {
  const side = (i: number) => (headers[i]?.align === 'right' ? ' class="right"' : '')
  const head = headers.map(({ text }, i) => `<th scope="col"${side(i)}>${escapeHtml(text)}</th>`).join('')
  const body = rows.map((row) => `<tr>${row.map((cell, i) => `<td${side(i)}>${escapeHtml(cell)}</td>`).join('')}</tr>`)
  const title = caption === undefined ? '' : `<caption>${escapeHtml(caption)}</caption>`
  return `<div class="scroll"><table>${title}<thead><tr>${head}</tr></thead><tbody>${body.join('')}</tbody></table></div>`
}
