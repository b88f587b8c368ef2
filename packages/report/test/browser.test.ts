// A browser must read charts as strict XML and reports as pages, with hostile text in them.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { chart, type ChartSpec } from '../src/charts.ts'
import { htmlReport } from '../src/html.ts'
import { formatTable } from '../src/index.ts'

const browser = ['chromium', 'chromium-browser', 'google-chrome']
  .flatMap((name) => (process.env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, name)))
  .find((path) => existsSync(path))
const required = (process.env['FT_REQUIRE'] ?? '').split(',').includes('browser')
const reason = browser === undefined ? ' (skipped: no Chromium on PATH)' : ''

const hostile = `]]></text><script>document.title='owned'</script><img src=x onerror="document.title='owned'">&nbsp;\u0001`
const spec: ChartSpec = {
  title: hostile,
  subtitle: hostile,
  x: { label: hostile },
  y: { label: hostile },
  series: [1, 2].map((scale) => ({
    kind: 'bars',
    name: hostile,
    points: [hostile, 'b'].map((x, i) => ({ x, y: scale * (i + 1), low: 0.5, high: 3 })),
  })),
  marks: [{ axis: 'y', value: 1, label: hostile }],
}

/** The page's DOM after its scripts ran. */
async function dump(text: string, name: string): Promise<string> {
  return inChromium(text, { name, flags: ['--dump-dom'] }).then(({ stdout }) => stdout)
}

/** The page as a PDF of A4 pages. */
async function print(text: string): Promise<Buffer> {
  return inChromium(text, { name: 'page.html', flags: ['--no-pdf-header-footer'], pdf: true }).then(({ pdf }) => pdf)
}

async function inChromium(
  text: string,
  { name, flags: more, pdf = false }: { name: string; flags: string[]; pdf?: boolean },
): Promise<{ stdout: string; pdf: Buffer }> {
  if (browser === undefined) throw new Error('FT_REQUIRE asks for a browser, and no Chromium is on PATH')
  const folder = mkdtempSync(join(tmpdir(), 'ft-report-'))
  try {
    const file = join(folder, name)
    writeFileSync(file, text)
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
    const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
    const profile = `--user-data-dir=${join(folder, 'profile')}`
    const printed = join(folder, 'page.pdf')
    const all = [
      ...flags,
      ...quiet,
      profile,
      ...more,
      ...(pdf ? [`--print-to-pdf=${printed}`] : []),
      pathToFileURL(file).href,
    ]
    const { stdout } = await promisify(execFile)(browser, all, { timeout: 50_000 })
    return { stdout, pdf: pdf ? readFileSync(printed) : Buffer.alloc(0) }
  } finally {
    rmSync(folder, { recursive: true, force: true, maxRetries: 5 })
  }
}

describe('in a browser', () => {
  it.skipIf(browser === undefined && !required)(`a chart is well-formed XML${reason}`, async () => {
    const dom = await dump(chart(spec), 'chart.svg')
    expect(dom).toContain('class="ft-chart"')
    expect(dom).not.toContain('parsererror')
    expect(dom).not.toMatch(/<(script|img)/)
    // The last thing drawn is there: nothing was cut on the way
    expect(dom.match(/<rect/g)?.length).toBeGreaterThanOrEqual(4)
    // The check itself can fail
    expect(await dump(chart(spec).replace('</title>', ''), 'broken.svg')).toContain('parsererror')
  })

  it.skipIf(browser === undefined && !required)(`a report runs nothing${reason}`, async () => {
    const blocks = [
      { kind: 'chart', chart: spec },
      { kind: 'text', text: hostile },
    ] as const
    const page = htmlReport({ title: 'mine', lead: hostile, sections: [{ heading: hostile, blocks }] })
    const dom = await dump(page, 'page.html')
    expect(dom).toContain('<title>mine</title>')
    expect(dom).not.toMatch(/<(script|img)/)
    expect(dom.match(/<svg/g)?.length).toBe(2) // the frame and the plot in it
  })

  const wide = formatTable(
    Array.from({ length: 120 }, (_, i) => i),
    Array.from({ length: 9 }, (_, column) => ({
      header: `column ${column}`,
      value: (row: number) => (column === 0 ? `layer${row}.downsample and 17 like it` : row * 1.2345 ** column),
    })),
  )
  const long = htmlReport({
    title: 'A long report',
    facts: Array.from({ length: 8 }, (_, i) => ({ name: `fact ${i}`, value: 'a value of some words' })),
    sections: [1, 2, 3].map((i) => ({
      heading: `Section ${i}`,
      blocks: [
        { kind: 'chart', chart: { ...spec, title: 'chart' } },
        { kind: 'table', table: wide, caption: 'Many rows.' },
        { kind: 'code', text: 'command '.repeat(60) },
      ],
    })),
  })

  it.skipIf(browser === undefined && !required)(`paper has whole pages of text, not one cut off${reason}`, async () => {
    const pages = (pdf: Buffer) => pdf.toString('latin1').match(/\/Type\s*\/Page\b/g)?.length ?? 0
    const count = pages(await print(long))
    // 360 rows of at least 14 px on A4 pages with 1,017 px between their margins take five pages or more, charts one or two
    expect(count).toBeGreaterThanOrEqual(6)
    expect(count).toBeLessThanOrEqual(14)
    expect(pages(await print(htmlReport({ title: 'short', sections: [] })))).toBe(1)
  })

  it.skipIf(browser === undefined && !required)(`on paper nothing is wider than the page${reason}`, async () => {
    // The print rules applied on a screen as wide as an A4 page between its margins: 182 mm are 688 px
    const asPrinted = long
      .replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, '')
      .replaceAll('@media print', '@media all')
      .replace('<main>', '<main style="width:688px;margin:0">')
    const measure = `<script>
      const out = [...document.querySelectorAll('main, main *')].filter((e) => !e.closest('svg svg'))
        .map((e) => [e.tagName, Math.ceil(e.getBoundingClientRect().right)]).filter(([, right]) => right > 689)
      const tall = [...document.querySelectorAll('figure')].filter((e) => e.getBoundingClientRect().height > 1017)
      document.title = JSON.stringify({ out: out.slice(0, 5), tall: tall.length, seen: document.querySelectorAll('td').length })
    </script>`
    const title = (dom: string) => /<title>(\{.*?\})<\/title>/.exec(dom)?.[1]
    const dom = await dump(asPrinted.replace('</body>', `${measure}</body>`), 'printed.html')
    expect(title(dom)).toBe(JSON.stringify({ out: [], tall: 0, seen: 3 * 120 * 9 }))
    // The check itself can fail: without the print rules the table is wider
    const onScreen = long
      .replace(/<meta http-equiv="Content-Security-Policy"[^>]*>/, '')
      .replace('<main>', '<main style="width:688px;margin:0">')
    expect(title(await dump(onScreen.replace('</body>', `${measure}</body>`), 'screen.html'))).toContain('TABLE')
  })
})
