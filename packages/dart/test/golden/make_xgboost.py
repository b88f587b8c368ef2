# python3 make_xgboost.py xgboost-1.7.4.json: golden models of XGBoost.
import json, sys, numpy as np, xgboost as xgb
out = sys.argv[1]
rng = np.random.default_rng(7)
def f(a): return [float(x) if x == x else None for x in np.asarray(a, dtype=np.float64).ravel()]
def thresholds(b):
    t = json.loads(b.save_raw('json'))['learner']['gradient_booster']
    trees = (t['gbtree'] if t['name'] == 'dart' else t)['model']['trees']
    return [(tr['split_indices'][i], tr['split_conditions'][i]) for tr in trees for i in range(len(tr['left_children'])) if tr['left_children'][i] >= 0]
def rows(b, X, n=40):
    R = X[:n].copy()
    ts = thresholds(b)
    # rows exactly on thresholds, and one float32 beside them
    for k in range(60):
        j, t = ts[(k * 7) % len(ts)]
        r = X[(k * 13) % len(X)].copy(); r[j] = np.float32(t); R = np.vstack([R, r])
        r = r.copy(); r[j] = np.nextafter(np.float32(t), np.float32(-np.inf)); R = np.vstack([R, r])
    for k in range(30):
        r = X[(k * 5) % len(X)].copy(); r[rng.random(X.shape[1]) < 0.4] = np.nan; R = np.vstack([R, r])
    R = np.vstack([R, np.full((1, X.shape[1]), np.nan, dtype=np.float32)])
    return R.astype(np.float32)
def case(name, params, rounds, y, group=None, n=300):
    X = rng.normal(size=(n, 5)).astype(np.float32)
    X[rng.random(X.shape) < 0.1] = np.nan
    X[:, 3] = np.round(X[:, 3] * 2) / 2
    d = xgb.DMatrix(X, y(X))
    if group is not None: d.set_group(group)
    p = dict(tree_method='exact', max_depth=4, nthread=1, seed=3, verbosity=0); p.update(params)
    b = xgb.train(p, d, rounds)
    R = rows(b, X)
    m = b.predict(xgb.DMatrix(R), output_margin=True)
    a = b.predict(xgb.DMatrix(R))
    shap = b.predict(xgb.DMatrix(R[:30]), pred_contribs=True)
    return dict(name=name, version=xgb.__version__, params={k: str(v) for k, v in p.items()}, model=json.loads(b.save_raw('json')), rows=len(R), features=f(R), margin=f(m), answer=f(a), contributions=f(shap))
reg = lambda X: np.nan_to_num(X[:, 0]) * 2 + np.nan_to_num(X[:, 1]) ** 2 + rng.normal(size=len(X)) * 0.1
cls = lambda X: (np.nan_to_num(X[:, 0]) + np.nan_to_num(X[:, 2]) > 0.2).astype(float)
mul = lambda X: np.digitize(np.nan_to_num(X[:, 0]), [-0.5, 0.5]).astype(float)
cnt = lambda X: rng.poisson(np.exp(0.5 * np.nan_to_num(X[:, 0]))).astype(float)
cases = []
def add(*given): cases.append(case(*given))
add('gbtree squared', dict(objective='reg:squarederror', eta=0.3), 8, reg)
add('dart squared', dict(objective='reg:squarederror', booster='dart', rate_drop=0.3, one_drop=1, eta=0.5), 10, reg)
add('dart forest logistic', dict(objective='binary:logistic', booster='dart', rate_drop=0.3, normalize_type='forest', eta=0.5, base_score=0.3), 8, cls)
add('dart softprob', dict(objective='multi:softprob', num_class=3, booster='dart', rate_drop=0.2, one_drop=1), 5, mul)
add('poisson', dict(objective='count:poisson', eta=0.3), 6, cnt)
add('pairwise', dict(objective='rank:pairwise', eta=0.3), 5, mul, [30] * 10)
add('hist lossguide', dict(objective='reg:squarederror', tree_method='hist', grow_policy='lossguide', max_leaves=12, max_depth=0), 5, reg)
json.dump(cases, open(out, 'w'), separators=(',', ':'))
