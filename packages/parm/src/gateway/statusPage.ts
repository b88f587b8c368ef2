// A page about a running gateway, for a person: the snapshot as tables, without script or anything from outside.
import { formatTable, formatNumber, formatPercent, type Column } from '@ft/report'
import type { GatewaySnapshot } from './gateway.ts'

type Instance = GatewaySnapshot['instances'][number]

/** The page's HTML. Loads the report package's pages when it is first asked for. */
export async function statusPage(snapshot: GatewaySnapshot, { model }: { model: string }): Promise<string> {
  const { htmlReport } = await import('@ft/report/html')
  const { counts, residual, shadow, latency, instances } = snapshot
  const answered = (counts.exact ?? 0) + (counts.reconstructed ?? 0) + (counts.default ?? 0)
  const share = (count = 0) => (answered === 0 ? '-' : formatPercent(count / answered))
  const state = ({ name, out, unfit }: Instance) => {
    if (out && unfit !== undefined) return 'out, has another model'
    if (residual.flagged.includes(name)) return out ? 'out, answers wrongly' : 'answers wrongly'
    return out ? 'out' : 'in use'
  }
  const columns: Column<Instance>[] = [
    { header: 'instance', value: ({ name }) => name },
    { header: 'model', value: (instance) => instance.model },
    { header: 'state', value: state },
    { header: 'in progress', value: ({ outstanding }) => outstanding, format: 'count' },
    { header: 'answered', value: (instance) => instance.answered, format: 'count' },
    { header: 'failed', value: ({ failed }) => failed, format: 'count' },
    { header: 'latency', unit: 'ms', value: ({ latencyMs }) => latencyMs },
    { header: 'process', value: ({ pid }) => (pid === undefined ? 'elsewhere' : String(pid)) },
  ]
  const buckets = latency.buckets.map(({ le, count }) => ({
    le,
    share: latency.count === 0 ? 0 : count / latency.count,
  }))
  const coding = [
    { what: 'coding groups filled', value: counts['group-full'] ?? 0 },
    { what: 'closed short', value: counts['group-short'] ?? 0 },
    { what: 'parity queries', value: counts.parity ?? 0 },
    { what: 'copies', value: (counts.replica ?? 0) + (counts.hedge ?? 0) },
    { what: 'refused by the guard', value: counts.guarded ?? 0 },
    { what: 'failed units', value: counts['unit-failed'] ?? 0 },
    { what: 'reconstructions compared with what came later', value: shadow.compared },
    { what: 'of them, those that agreed', value: shadow.agreed },
    { what: 'groups compared with their parities', value: residual.checked },
    { what: 'of them, those that did not fit', value: residual.alarms },
  ]
  const out = instances.filter((instance) => instance.out).length
  const wrong = residual.flagged.length
  const trouble = [out > 0 ? `${out} out of use` : '', wrong > 0 ? `${wrong} answering wrongly` : ''].filter(Boolean)
  return htmlReport({
    title: `Model ${model}`,
    lead: `${instances.length} instances, ${trouble.length === 0 ? 'all in use' : trouble.join(', ')}.`,
    facts: [
      { name: 'answered', value: answered },
      { name: 'exact', value: share(counts.exact) },
      { name: 'reconstructed', value: share(counts.reconstructed) },
      { name: 'default', value: share(counts.default) },
      { name: 'utilisation', value: formatPercent(snapshot.utilisation) },
      { name: 'open queries', value: snapshot.openQueries },
      { name: 'open groups', value: snapshot.openGroups },
      { name: 'waiting units', value: snapshot.queued },
    ],
    sections: [
      { heading: 'Instances', blocks: [{ kind: 'table', table: formatTable(instances, columns) }] },
      {
        heading: 'Latency',
        blocks: [
          {
            kind: 'table',
            table: formatTable(buckets, [
              { header: 'answered within', unit: 'ms', value: ({ le }) => formatNumber(le), align: 'right' },
              { header: 'share of queries', value: (bucket) => bucket.share, format: 'percent' },
            ]),
          },
        ],
      },
      {
        heading: 'Coding',
        blocks: [
          {
            kind: 'table',
            table: formatTable(coding, [
              { header: 'what', value: ({ what }) => what },
              { header: 'since the start', value: ({ value }) => value, format: 'count' },
            ]),
          },
        ],
      },
    ],
    footer: 'Load the page again for new figures; programs read /metrics.',
  })
}
