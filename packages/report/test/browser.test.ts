// A browser must read charts as strict XML and reports as pages, with hostile text in them.
import { execFile } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { chart, type ChartSpec } from '../src/charts.ts'
import { htmlReport } from '../src/html.ts'

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
  if (browser === undefined) throw new Error('FT_REQUIRE asks for a browser, and no Chromium is on PATH')
  const folder = mkdtempSync(join(tmpdir(), 'ft-report-'))
  try {
    const file = join(folder, name)
    writeFileSync(file, text)
    const flags = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run']
    const quiet = ['--disable-background-networking', '--disable-component-update', '--disable-sync']
    const profile = `--user-data-dir=${join(folder, 'profile')}`
    const all = [...flags, ...quiet, profile, '--dump-dom', pathToFileURL(file).href]
    const { stdout } = await promisify(execFile)(browser, all, { timeout: 50_000 })
    return stdout
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
})
