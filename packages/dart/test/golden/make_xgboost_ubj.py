# python3 make_xgboost_ubj.py xgboost-1.7.4-ubj.json: golden models of XGBoost in its binary form, each beside its text.
import base64, json, os, sys, tempfile, numpy as np, xgboost as xgb
rng = np.random.default_rng(23)
def f(a): return [float(x) if x == x else None for x in np.asarray(a, dtype=np.float64).ravel()]
def saved(b, ending):
    path = os.path.join(tempfile.mkdtemp(), 'm.' + ending)
    b.save_model(path)
    return open(path, 'rb').read()
def rows(b, X):
    t = json.loads(b.save_raw('json'))['learner']['gradient_booster']
    trees = (t['gbtree'] if t['name'] == 'dart' else t)['model']['trees']
    ts = [(tr['split_indices'][i], tr['split_conditions'][i]) for tr in trees for i in range(len(tr['left_children'])) if tr['left_children'][i] >= 0 and tr['split_type'][i] == 0]
    R = X[:30].copy()
    # rows exactly on thresholds, and one float32 below
    for k in range(40):
        j, at = ts[(k * 7) % len(ts)]
        for value in (np.float32(at), np.nextafter(np.float32(at), np.float32(-np.inf))):
            r = X[(k * 13) % len(X)].copy(); r[j] = value; R = np.vstack([R, r])
    return R.astype(np.float32)
def case(name, params, rounds, y, categories=False):
    n = 250
    X = rng.normal(size=(n, 4)).astype(np.float32)
    X[:, 2] = np.round(X[:, 2] * 2) / 2
    X[:, 3] = rng.integers(0, 9, n)
    X[rng.random(X.shape) < 0.1] = np.nan
    d = dict(feature_names=['a', 'b', 'c', 'kind ü'], feature_types=['float', 'float', 'float', 'c' if categories else 'float'], enable_categorical=categories)
    p = dict(tree_method='hist', max_depth=4, nthread=1, seed=3, verbosity=0, max_cat_to_onehot=1); p.update(params)
    b = xgb.train(p, xgb.DMatrix(X, y(X), **d), rounds)
    R = rows(b, X)
    return dict(name=name, version=xgb.__version__, ubj=base64.b64encode(saved(b, 'ubj')).decode(), json=saved(b, 'json').decode(), rows=len(R), features=f(R), margin=f(b.predict(xgb.DMatrix(R, **d), output_margin=True)))
n0 = np.nan_to_num
eff = rng.normal(size=9)
reg = lambda X: n0(X[:, 0]) * 2 + n0(X[:, 1]) ** 2 + eff[n0(X[:, 3]).astype(int)]
cls = lambda X: (n0(X[:, 0]) + n0(X[:, 2]) > 0.2).astype(float)
mul = lambda X: np.digitize(n0(X[:, 0]), [-0.5, 0.5]).astype(float)
cases = [
 case('gbtree squared', dict(objective='reg:squarederror', eta=0.3), 4, reg),
 case('dart logistic', dict(objective='binary:logistic', booster='dart', rate_drop=0.3, one_drop=1, eta=0.5, base_score=0.3), 6, cls),
 case('dart softprob', dict(objective='multi:softprob', num_class=3, booster='dart', rate_drop=0.3, one_drop=1, max_depth=3), 3, mul),
 case('categories', dict(objective='reg:squarederror', eta=0.5), 4, reg, True),
]
json.dump(cases, open(sys.argv[1], 'w'), separators=(',', ':'))
