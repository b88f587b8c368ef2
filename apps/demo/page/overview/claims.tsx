// Claims with what was measured and the verdict, as the command's closing table has them.

export interface Claim {
  readonly step: string
  readonly text: string
  readonly measured: { readonly value: number; readonly low: number; readonly high: number }
  readonly verdict: 'held' | 'undecided' | 'refuted'
  readonly again: string
}

export function Claims({ claims }: { readonly claims: readonly Claim[] }) {
  return (
    <div className="scroll">
      <table data-testid="claims">
        <thead>
          <tr>
            <th scope="col">Step</th>
            <th scope="col">Claim</th>
            <th scope="col" className="number">
              Measured
            </th>
            <th scope="col">Verdict</th>
          </tr>
        </thead>
        <tbody>
          {claims.map(({ step, text, measured, verdict, again }) => (
            <tr key={text}>
              <td>{step}</td>
              <td title={again}>{text}</td>
              <td className="number">{show(measured)}</td>
              <td>{verdict === 'held' ? verdict : <strong>{verdict}</strong>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function show({ value, low, high }: Claim['measured']): string {
  const short = (x: number) =>
    Math.abs(x) >= 100 ? Math.round(x).toLocaleString('en') : Number(x.toPrecision(3)).toString()
  return low === high ? short(value) : `${short(value)} [${short(low)}, ${short(high)}]`
}
