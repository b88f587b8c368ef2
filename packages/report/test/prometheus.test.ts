import { describe, expect, it } from 'vitest'
import { prometheusText, type MetricsSnapshot } from '../src/prometheus.ts'

const snapshot: MetricsSnapshot = {
  counters: [
    {
      name: 'ft_abft_checks_total',
      help: 'Checks by result.',
      values: [
        { labels: { result: 'clean' }, value: 12 },
        { labels: { result: 'say "no"\nor \\' }, value: 0 },
      ],
    },
  ],
  gauges: [
    {
      name: 'ft_parm_open_groups',
      help: 'Open\ngroups.',
      values: [{ value: -1.5 }, { labels: { a: 'x' }, value: NaN }],
    },
  ],
  histograms: [
    {
      name: 'ft_latency_ms',
      help: 'Latency.',
      values: [
        {
          labels: { model: 'm' },
          buckets: [
            { le: 1, count: 2 },
            { le: 2.5, count: 3 },
          ],
          sum: 7.25,
          count: 4,
        },
      ],
    },
  ],
}

describe('Prometheus text', () => {
  it('has help, type and one line a value, with labels escaped', async () => {
    expect((await prometheusText(snapshot)).split('\n')).toEqual([
      '# HELP ft_abft_checks_total Checks by result.',
      '# TYPE ft_abft_checks_total counter',
      'ft_abft_checks_total{result="clean"} 12',
      'ft_abft_checks_total{result="say \\"no\\"\\nor \\\\"} 0',
      '',
      '# HELP ft_parm_open_groups Open\\ngroups.',
      '# TYPE ft_parm_open_groups gauge',
      'ft_parm_open_groups -1.5',
      'ft_parm_open_groups{a="x"} Nan',
      '',
      '# HELP ft_latency_ms Latency.',
      '# TYPE ft_latency_ms histogram',
      'ft_latency_ms_bucket{model="m",le="1"} 2',
      'ft_latency_ms_bucket{model="m",le="2.5"} 3',
      'ft_latency_ms_bucket{model="m",le="+Inf"} 4',
      'ft_latency_ms_sum{model="m"} 7.25',
      'ft_latency_ms_count{model="m"} 4',
      '',
    ])
  })

  it('of nothing is empty, and two calls do not know of each other', async () => {
    expect((await prometheusText({})).trim()).toBe('')
    const [first, second] = await Promise.all([prometheusText(snapshot), prometheusText(snapshot)])
    expect(first).toBe(second)
  })

  it('replaces a bucket of all by the count', async () => {
    const buckets = [
      { le: 1, count: 1 },
      { le: Infinity, count: 2 },
    ]
    const text = await prometheusText({
      histograms: [{ name: 'h', help: '', values: [{ buckets, sum: 3, count: 2 }] }],
    })
    expect(text.match(/\+Inf/g)?.length).toBe(1)
  })

  const series = (name: string, value = 1) => ({ name, help: '', values: [{ value }] })
  it.each<[string, MetricsSnapshot]>([
    ['a name with a space', { counters: [series('a b')] }],
    ['an empty name', { gauges: [series('')] }],
    ['a name used twice', { counters: [series('a')], gauges: [series('a')] }],
    ['a counter below 0', { counters: [series('a', -1)] }],
    ['a counter that is NaN', { counters: [series('a', NaN)] }],
    ['a label that is no name', { gauges: [{ name: 'a', help: '', values: [{ labels: { 'x}': 1 }, value: 1 }] }] }],
    [
      'buckets that fall',
      {
        histograms: [
          {
            name: 'h',
            help: '',
            values: [
              {
                buckets: [
                  { le: 1, count: 2 },
                  { le: 2, count: 1 },
                ],
                sum: 1,
                count: 2,
              },
            ],
          },
        ],
      },
    ],
    [
      'a bucket above the count',
      { histograms: [{ name: 'h', help: '', values: [{ buckets: [{ le: 1, count: 3 }], sum: 1, count: 2 }] }] },
    ],
  ])('refuses %s', async (_, bad) => {
    await expect(prometheusText(bad)).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' })
  })
})
