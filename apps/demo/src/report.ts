// The report: what the steps print, kept beside printing it, with pictures that a terminal does not show.
import { writeFile } from 'node:fs/promises'
import { formatTable, type Output } from '@ft/report'
import type { ChartSpec } from '@ft/report/charts'
import { htmlReport, type Block, type HtmlReport } from '@ft/report/html'

export interface Recorder {
  /** Prints as the output that it was made of, and keeps text and tables. */
  readonly output: Output
  /** Opens a section; what follows belongs to it. */
  section(heading: string): void
  chart(spec: ChartSpec): void
  write(file: string, about: Omit<HtmlReport, 'sections'>): Promise<void>
}

export function createRecorder(output: Output): Recorder {
  const sections: { heading: string; blocks: Block[] }[] = []
  const add = (block: Block): void => void sections.at(-1)?.blocks.push(block)
  return {
    output: {
      ...output,
      text(text) {
        output.text(text)
        if (text.trim() !== '') add({ kind: 'text', text: text.trim() })
      },
      table(rows, columns) {
        output.table(rows, columns)
        add({ kind: 'table', table: formatTable(rows, columns) })
      },
      note(text) {
        output.note(text)
        add({ kind: 'code', text })
      },
    },
    section: (heading) => void sections.push({ heading, blocks: [] }),
    chart: (chart) => add({ kind: 'chart', chart }),
    write: (file, about) => writeFile(file, htmlReport({ ...about, sections })),
  }
}
