// A report with a table and every kind of chart, as one HTML text. Run it with a path to save the report there.
//
// Prints:
//   one HTML file, 7 charts, 0 outside resources
import { writeFileSync } from 'node:fs'
import process from 'node:process'
import { createRandom } from '@ft/core/random'
import { formatTable } from '@ft/report'
import { htmlReport, type Block } from '@ft/report/html'

const random = createRandom(7)
const sizes = [128, 256, 512, 1024, 2048, 4096]
const schemes = ['global', 'thread-one-sided', 'replication']
const overhead = (scheme: number, size: number) =>
  [12 / size, 0.02 + size / 60000, 0.9][scheme]! * (1 + 0.05 * random.normal())

const interval = (value: number, half: number) => ({ low: value - half, high: value + half })
const charts: Block[] = [
  {
    kind: 'chart',
    chart: {
      title: 'Overhead by size',
      subtitle: 'median of 25 interleaved pairs, bands are 95 % intervals, seed 7',
      x: { label: 'rows and columns', scale: 'log' },
      y: { label: 'extra time', unit: '%', scale: 'log' },
      series: schemes.map((name, i) => ({
        kind: 'line',
        name,
        points: sizes.map((x) => {
          const y = 100 * overhead(i, x)
          return { x, y, low: y * 0.85, high: y * 1.15 }
        }),
      })),
      marks: [{ axis: 'x', value: 700, label: 'machine balance' }],
    },
  },
  {
    kind: 'chart',
    chart: {
      title: 'Detection by flipped bit',
      x: { label: 'bit' },
      y: { label: 'detected', unit: '%', domain: [0, 100] },
      series: [
        {
          kind: 'points',
          name: 'row checks',
          points: Array.from({ length: 32 }, (_, x) => {
            const y = 100 / (1 + Math.exp(6 - x))
            return { x, y, low: Math.max(0, y - 4), high: Math.min(100, y + 4) }
          }),
        },
        {
          kind: 'points',
          name: 'global check',
          points: Array.from({ length: 32 }, (_, x) => ({ x, y: 100 / (1 + Math.exp(10 - x)) })),
        },
      ],
    },
  },
  {
    kind: 'chart',
    chart: {
      title: 'Time a layer',
      x: { label: 'layer' },
      y: { label: 'time', unit: 'ms' },
      series: ['none', 'guided', 'global'].map((name, i) => ({
        kind: 'bars',
        name,
        points: ['conv1', 'conv2', 'fc'].map((x, j) => {
          const y = 3 + i * 0.4 + j * 2
          return { x, y, ...interval(y, 0.3) }
        }),
      })),
      marks: [{ axis: 'y', value: 6, label: 'budget' }],
    },
  },
  {
    kind: 'chart',
    chart: {
      title: 'Latency',
      subtitle: '20,000 queries, each with its own arrival',
      x: { label: 'latency', unit: 'ms', scale: 'log' },
      y: { label: 'queries' },
      series: [1, 1.6].map((scale, i) => ({
        kind: 'histogram',
        name: ['with parity', 'without'][i]!,
        values: Float64Array.from(
          { length: 10000 },
          () => scale * Math.exp(2 + 0.3 * random.normal()) + (random.bernoulli(0.02 + 0.05 * i) ? 60 : 0),
        ),
      })),
      marks: [{ axis: 'x', value: 50, label: 'target' }],
    },
  },
  {
    kind: 'chart',
    chart: {
      title: 'Residuals',
      x: { label: 'residual' },
      y: { label: 'checks' },
      series: [{ kind: 'histogram', name: 'row checks', values: random.fillNormal(new Float64Array(5000)) }],
    },
  },
  {
    kind: 'chart',
    chart: {
      title: 'Loss while training',
      x: { label: 'samples' },
      y: { label: 'log loss' },
      series: [
        {
          kind: 'line',
          name: 'train',
          points: Array.from({ length: 200 }, (_, i) => ({
            x: i * 1e4,
            y: i === 120 ? NaN : 0.4 + 0.3 / (1 + i / 10),
          })),
        },
        {
          kind: 'line',
          name: 'a server was killed',
          points: Array.from({ length: 200 }, (_, i) => ({ x: i * 1e4, y: 0.41 + 0.3 / (1 + i / 10) })),
        },
      ],
    },
  },
  { kind: 'chart', chart: { title: 'Nothing yet', x: { label: 'x' }, y: { label: 'y' }, series: [] } },
]

const html = htmlReport({
  title: 'Protection of a small network',
  lead: 'Guided protection costs 2.1 % [1.4, 2.9], all-global 4.0 % [3.2, 4.9].',
  facts: [
    { name: 'seed', value: 7 },
    { name: 'device', value: '2 cores, WebAssembly SIMD' },
    { name: 'layers', value: 12 },
  ],
  sections: [
    {
      heading: 'Plan',
      blocks: [
        { kind: 'text', text: 'One line a layer. Overheads are medians of paired ratios.' },
        {
          kind: 'table',
          caption: 'Chosen schemes',
          table: formatTable(
            schemes.map((scheme, i) => ({
              scheme,
              ratio: { value: 1.03 + i / 100, low: 1.01 + i / 100, high: 1.05 + i / 90, confidence: 0.95, n: 25 },
            })),
            [
              { header: 'scheme', value: (row) => row.scheme },
              { header: 'time against none', value: (row) => row.ratio },
              { header: 'memory', value: (row) => row.scheme.length * 123456, format: 'bytes' },
            ],
          ),
        },
      ],
    },
    { heading: 'Charts', blocks: charts },
    { heading: 'Again', blocks: [{ kind: 'code', text: 'npx ft-demo --seed 7 --rows 100000' }] },
  ],
  footer: 'Made by an example of @ft/report.',
})

const outside = html.match(/(?:src|href)="(?!#)/g) ?? []
console.log(`one HTML file, ${html.split('<figure>').length - 1} charts, ${outside.length} outside resources`)
const [, , path] = process.argv
if (path?.endsWith('.html')) writeFileSync(path, html)
