# python read_written.py written-in.json out.json xgboost|lightgbm: has a program read what this package wrote, and predict.
import base64, json, sys, tempfile, os
import numpy as np
cases = json.load(open(sys.argv[1]))
for c in cases:
    X = np.array([np.nan if v is None else v for v in c['features']], dtype=np.float32).reshape(c['rows'], -1)
    if sys.argv[3] == 'lightgbm':
        import lightgbm as lgb
        b = lgb.Booster(model_str=c['lightgbm'])
        c['byLightgbm'] = [float(v) for v in b.predict(X.astype(np.float64), raw_score=True).ravel()]
    else:
        import xgboost as xgb
        c['byXgboost'] = {}
        for form in ('wrapper', 'folded', 'ubjson'):
            path = os.path.join(tempfile.mkdtemp(), 'm.ubj' if form == 'ubjson' else 'm.json')
            open(path, 'wb').write(base64.b64decode(c[form]) if form == 'ubjson' else c[form].encode())
            b = xgb.Booster(); b.load_model(path)
            learner = json.loads(c['wrapper' if form == 'ubjson' else form])['learner']
            types = learner['feature_types']
            d = xgb.DMatrix(X, feature_names=learner['feature_names'], feature_types=types, enable_categorical='c' in types)
            c['byXgboost'][form] = [float(v) for v in b.predict(d, output_margin=True).ravel()]
json.dump(cases, open(sys.argv[2], 'w'), separators=(',', ':'))
