// Checks of the packed package as a user gets it: every subpath, in both module forms.
export const checks = {
  async 'tables are text'(load, assert) {
    const { table } = await load('@ft/report')
    assert.equal(table([{ a: 1.5 }], [{ header: 'a', unit: 's', value: (row) => row.a }]), 'a [s]\n-----\n  1.5')
  },
  async 'charts are drawn'(load, assert) {
    const { chart } = await load('@ft/report/charts')
    const series = [
      {
        kind: 'line',
        name: 'a',
        points: [
          { x: 1, y: 1 },
          { x: 2, y: 4 },
        ],
      },
    ]
    const svg = chart({ title: 'T', x: { label: 'x' }, y: { label: 'y', scale: 'log' }, series })
    assert.match(svg, /^<svg .*<\/svg>$/s)
    assert.match(svg, /aria-label="line"/)
  },
  async 'reports are pages'(load, assert) {
    const { htmlReport } = await load('@ft/report/html')
    const page = htmlReport({ title: '<T>', sections: [{ heading: 'h', blocks: [{ kind: 'text', text: 'x & y' }] }] })
    assert.match(page, /<h1>&lt;T&gt;<\/h1>/)
    assert.match(page, /<p>x &amp; y<\/p>/)
  },
  async 'metrics are Prometheus text'(load, assert) {
    const { prometheusText } = await load('@ft/report/prometheus')
    const text = await prometheusText({ counters: [{ name: 'a_total', help: 'A.', values: [{ value: 2 }] }] })
    assert.equal(text, '# HELP a_total A.\n# TYPE a_total counter\na_total 2\n')
  },
  async 'misuse has the error of @ft/core'(load, assert) {
    const { chart } = await load('@ft/report/charts')
    const { isFtError } = await load('@ft/core')
    assert.throws(
      () => chart({ title: '', x: { label: '' }, y: { label: '' }, series: [], width: NaN }),
      (error) => isFtError(error, 'INVALID_ARGUMENT'),
    )
  },
}
