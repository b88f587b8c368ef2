# python make_lightgbm.py lightgbm-4.6.0.json: golden models of LightGBM.
import json, sys, numpy as np, lightgbm as lgb
rng = np.random.default_rng(11)
def f(a): return [float(x) if x == x else None for x in np.asarray(a, dtype=np.float64).ravel()]
def make(n=300):
    X = rng.normal(size=(n, 5)).astype(np.float32)
    X[:, 3] = np.round(X[:, 3] * 2) / 2
    X[:, 4] = rng.integers(0, 40, n)
    X[rng.random(X.shape) < 0.1] = np.nan
    return X
def thresholds(b):
    out = []
    def walk(t):
        if 'split_feature' in t:
            if t['decision_type'] == '<=': out.append((t['split_feature'], t['threshold']))
            walk(t['left_child']); walk(t['right_child'])
    for t in b.dump_model()['tree_info']: walk(t['tree_structure'])
    return out
def rows(b, X):
    R = X[:40].copy()
    ts = thresholds(b)
    for k in range(50):
        j, t = ts[(k * 7) % len(ts)]
        r = X[(k * 13) % len(X)].copy(); r[j] = np.float32(t); R = np.vstack([R, r])
        for way in (-np.inf, np.inf):
            s = r.copy(); s[j] = np.nextafter(np.float32(t), np.float32(way)); R = np.vstack([R, s])
    for k in range(30):
        r = X[(k * 5) % len(X)].copy(); r[rng.random(X.shape[1]) < 0.4] = np.nan; R = np.vstack([R, r])
    for c in (39, 40, 77, 254, 255, 300):
        r = X[5].copy(); r[4] = c; R = np.vstack([R, r])
    return np.vstack([R, np.full((1, 5), np.nan)]).astype(np.float32)
def case(name, params, rounds, y, cat=True, nan=True, group=None):
    X = make()
    if not nan: X = np.nan_to_num(X).astype(np.float32)
    p = dict(num_leaves=10, min_data_in_leaf=5, min_data_in_bin=1, verbosity=-1, num_threads=1, seed=3, deterministic=True, cat_smooth=1, min_data_per_group=5, max_cat_to_onehot=1)
    p.update(params)
    d = lgb.Dataset(X, y(X), categorical_feature=[4] if cat else 'auto', group=group, params=dict(min_data_in_bin=1, verbosity=-1))
    b = lgb.train(p, d, rounds)
    R = rows(b, X)
    return dict(name=name, version=lgb.__version__, text=b.model_to_string(), rows=len(R), features=f(R), raw=f(b.predict(R.astype(np.float64), raw_score=True)), answer=f(b.predict(R.astype(np.float64))))
n0 = np.nan_to_num
eff = rng.normal(size=400)
reg = lambda X: n0(X[:, 0]) * 2 + n0(X[:, 1]) ** 2 + eff[n0(X[:, 4]).astype(int)]
cls = lambda X: (n0(X[:, 0]) + eff[n0(X[:, 4]).astype(int)] > 0.2).astype(int)
mul = lambda X: np.digitize(n0(X[:, 0]) + eff[n0(X[:, 4]).astype(int)], [-0.5, 0.5])
cnt = lambda X: rng.poisson(np.exp(0.5 * n0(X[:, 0])))
cases = [
 case('gbdt regression, categories', dict(objective='regression'), 8, reg),
 case('dart binary, categories', dict(objective='binary', boosting='dart', drop_rate=0.3, skip_drop=0.2, learning_rate=0.5), 8, cls),
 case('multiclass', dict(objective='multiclass', num_class=3, num_leaves=6), 4, mul),
 case('poisson, no missing values', dict(objective='poisson'), 5, cnt, cat=False, nan=False),
 case('lambdarank', dict(objective='lambdarank', num_leaves=5), 5, mul, cat=False, group=[30] * 10),
 case('forest', dict(objective='regression', boosting='rf', bagging_freq=1, bagging_fraction=0.7), 5, reg),
]
json.dump(cases, open(sys.argv[1], 'w'), separators=(',', ':'))
