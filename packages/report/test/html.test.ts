import { parseHTML } from 'linkedom'
import { describe, expect, it } from 'vitest'
import { formatTable } from '../src/index.ts'
import { htmlReport, type HtmlReport } from '../src/html.ts'

const report: HtmlReport = {
  title: 'Report',
  lead: 'It works.',
  facts: [
    { name: 'seed', value: 7 },
    { name: 'device', value: '2 cores' },
  ],
  sections: [
    {
      heading: 'Table',
      blocks: [
        { kind: 'text', text: 'One.\n\nTwo.' },
        {
          kind: 'table',
          caption: 'numbers',
          table: formatTable(
            [{ a: 'x', b: 1.5 }],
            [
              { header: 'a', value: (row) => row.a },
              { header: 'b', unit: 's', value: (row) => row.b },
            ],
          ),
        },
      ],
    },
    {
      heading: 'Chart',
      blocks: [
        {
          kind: 'chart',
          chart: {
            title: 'C',
            x: { label: 'x' },
            y: { label: 'y' },
            series: [
              {
                kind: 'line',
                name: 'a',
                points: [
                  { x: 1, y: 1 },
                  { x: 2, y: 2 },
                ],
              },
            ],
          },
        },
      ],
    },
    { heading: 'Again', blocks: [{ kind: 'code', text: 'npm run demo\n  --seed 7' }] },
  ],
  footer: 'the end',
}

const parse = (text: string) => parseHTML(text).document

describe('a report', () => {
  const page = parse(htmlReport(report))
  const text = (selector: string) => Array.from(page.querySelectorAll(selector), (node) => node.textContent)

  it('has its title, lead, facts, sections in order and footer', () => {
    expect([page.title, ...text('h1'), ...text('.lead')]).toEqual(['Report', 'Report', 'It works.'])
    expect([text('dt'), text('dd')]).toEqual([
      ['seed', 'device'],
      ['7', '2 cores'],
    ])
    expect(text('section > h2')).toEqual(['Table', 'Chart', 'Again'])
    expect(text('section p')).toEqual(['One.', 'Two.'])
    expect(text('pre')).toEqual(['npm run demo\n  --seed 7'])
    expect(text('footer')).toEqual(['the end'])
  })

  it('links its contents to its sections', () => {
    const targets = Array.from(page.querySelectorAll('nav a'), (link) => link.getAttribute('href')?.slice(1) ?? '')
    expect(targets.map((id) => page.getElementById(id)?.textContent)).toEqual(['Table', 'Chart', 'Again'])
    expect(parse(htmlReport({ ...report, sections: report.sections.slice(0, 2) })).querySelector('nav')).toBe(null)
  })

  it('shows tables with captions, scopes and numbers on the right', () => {
    expect([text('caption'), text('th'), text('td')]).toEqual([['numbers'], ['a', 'b [s]'], ['x', '1.5']])
    expect(page.querySelectorAll('th[scope="col"]').length).toBe(2)
    expect(text('.right')).toEqual(['b [s]', '1.5'])
  })

  it('holds charts in the page and asks for nothing outside it', () => {
    expect(page.querySelectorAll('figure > svg.ft-chart').length).toBe(1)
    expect(page.querySelectorAll('script, link, iframe, img, object').length).toBe(0)
    expect(page.querySelector('meta[http-equiv]')?.getAttribute('content')).toContain("default-src 'none'")
    expect(htmlReport(report)).not.toMatch(/@import|url\(|src=/)
  })

  it('with nothing in it is still a page', () => {
    const empty = parse(htmlReport({ title: '', sections: [] }))
    expect(empty.querySelectorAll('main').length).toBe(1)
    expect(empty.querySelectorAll('section, dl, nav, footer').length).toBe(0)
  })

  it('shows hostile text as text, everywhere', () => {
    const hostile = `"><script>alert(1)</script></title></style><svg onload='x'>\u0000\u001b`
    const table = formatTable([0], [{ header: hostile, value: () => hostile }])
    const bad = parse(
      htmlReport({
        title: hostile,
        lead: hostile,
        footer: hostile,
        facts: [{ name: hostile, value: hostile }],
        sections: [1, 2, 3].map(() => ({
          heading: hostile,
          blocks: [
            { kind: 'text', text: hostile },
            { kind: 'code', text: hostile },
            { kind: 'table', table, caption: hostile },
          ],
        })),
      }),
    )
    expect(bad.querySelectorAll('script, svg').length).toBe(0)
    expect(bad.querySelectorAll('main').length).toBe(1)
    const shown = `"><script>alert(1)</script></title></style><svg onload='x'>??`
    for (const selector of [
      'h1',
      '.lead',
      'footer',
      'dt',
      'dd',
      'h2',
      'nav a',
      'p:not(.lead)',
      'pre',
      'th',
      'td',
      'caption',
    ]) {
      expect(bad.querySelector(selector)?.textContent, selector).toBe(shown)
    }
  })
})
