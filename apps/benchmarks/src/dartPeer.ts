// XGBoost (python3-xgboost) as the peer of bench "dart": a process of its own for each run.
import { spawnSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import process from 'node:process'
import type { BenchContext } from './bench.ts'
import type { Cost, Data } from './dartRuns.ts'

export interface PeerRun {
  readonly dropRate: number
  readonly trees: number
  readonly threads: number
  readonly depth?: number
}

export interface Peer {
  readonly version: string
  train(run: PeerRun): Cost
  /** CPU nanoseconds a row and tree of `inplace_predict` over all rows, by a model of 100 trees trained when first asked. */
  predict(run: { readonly threads: number; readonly repeats: number }): number
}

const script = `
import json, os, resource, sys, time
import numpy as np, xgboost as xgb
a = json.loads(sys.argv[1])
X = np.fromfile(a['folder'] + '/x.f32', dtype=np.float32).reshape(a['rows'], a['columns'])
y = np.fromfile(a['folder'] + '/y.f64', dtype=np.float64)
n = a['trainRows']
def cpu():
    u = resource.getrusage(resource.RUSAGE_SELF)
    return u.ru_utime + u.ru_stime
def train():
    d = xgb.DMatrix(X[:n], y[:n], nthread=a['threads'])
    p = dict(tree_method='hist', objective='binary:logistic', max_depth=a['depth'], eta=0.1, max_bin=256, nthread=a['threads'], verbosity=0, seed=1)
    if a['dropRate'] > 0: p.update(booster='dart', rate_drop=a['dropRate'], one_drop=1)
    return xgb.train(p, d, a['trees'])
def auc(s, t):
    o = np.argsort(s, kind='mergesort'); r = np.empty(len(s)); r[o] = np.arange(1, len(s) + 1)
    P = t.sum(); N = len(t) - P
    return float((r[t == 1].sum() - P * (P + 1) / 2) / (P * N))
if a['repeats'] > 0:
    kept = a['folder'] + '/peer.ubj'
    if os.path.exists(kept): b = xgb.Booster(model_file=kept)
    else:
        b = train(); b.save_model(kept)
    b.set_param(dict(nthread=a['threads']))
    b.inplace_predict(X)
    c = cpu()
    for _ in range(a['repeats']): b.inplace_predict(X)
    print(json.dumps(dict(predictNs=(cpu() - c) * 1e9 / len(X) / a['trees'] / a['repeats'])))
else:
    t0, c0 = time.time(), cpu()
    b = train()
    c1, t1 = cpu(), time.time()
    s = b.inplace_predict(X[n:]) if a['dropRate'] == 0 else b.predict(xgb.DMatrix(X[n:]))
    print(json.dumps(dict(cpu=c1 - c0, wall=t1 - t0, auc=auc(s, y[n:]))))
`

/** Undefined, with a note, where XGBoost is not installed. Writes the data for it into the folder. */
export function openPeer(context: BenchContext, folder: string, data: Data): Peer | undefined {
  const python = ['/usr/bin/python3', 'python3'].find(
    (name) => spawnSync(name, ['-c', 'import xgboost, numpy']).status === 0,
  )
  if (python === undefined) {
    context.note(
      'XGBoost is not installed: no comparison. Debian: apt-get install python3-xgboost; else: pip install xgboost numpy',
    )
    return undefined
  }
  const { rows, columns, trainRows, values, label } = data
  writeFileSync(join(folder, 'x.f32'), new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
  writeFileSync(join(folder, 'y.f64'), new Uint8Array(label.buffer, label.byteOffset, label.byteLength))
  writeFileSync(join(folder, 'peer.py'), script)
  const version = spawnSync(python, ['-c', 'import xgboost; print(xgboost.__version__)'], {
    encoding: 'utf8',
  }).stdout.trim()
  context.note(`peer: XGBoost ${version}, hist`)
  const run = (given: PeerRun & { repeats: number }): unknown => {
    const args = JSON.stringify({ depth: 6, ...given, folder, rows, columns, trainRows })
    const env = { ...process.env, OMP_NUM_THREADS: String(given.threads) }
    const { status, stdout, stderr } = spawnSync(python, [join(folder, 'peer.py'), args], { encoding: 'utf8', env })
    if (status !== 0) throw new Error(`XGBoost failed: ${stderr}`)
    return JSON.parse(stdout)
  }
  return {
    version,
    train: (given) => run({ ...given, repeats: 0 }) as Cost,
    predict: ({ threads, repeats }) =>
      (run({ dropRate: 0, trees: 100, threads, repeats }) as { predictNs: number }).predictNs,
  }
}
