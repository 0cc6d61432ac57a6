"""Is the interval of a cross-validation honest? Write results/cross_validation.csv.

    python benchmarks/cross_validation.py path/to/oxford-iiit-pet [--repeats 100] [--only photographs drawn]

From all photographs (and, as a second set, drawn pets) a part is drawn at random, again and again. Heads on cached
features, regressions as in `petpoo train`, are cross-validated on that part, the final head is fitted to all of the
part, and its accuracy on the remaining, fresh photographs is compared with the 95% interval of the cross-validation,
as `petpoo.evaluate.metrics.evaluate` gives it, and with the one that counts the photographs alone (`plain`). Beside
it stands the interval of one held-out fifth of the same part. `chosen` takes the best of three strengths of
regularisation by the same cross-validation that then gives the figure; `nested` chooses anew inside each fold."""
import argparse, tempfile, warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
import pandas as pd
from threadpoolctl import threadpool_limits
from petpoo.core import environment
from petpoo.limits import cores
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.train.folds import fold_rows
from petpoo.train.regression import fit_logistic

OUT = Path(__file__).parent.parent/'results'/'cross_validation.csv'
STRENGTHS = 2., 18., 160.
ARCH = 'tf_efficientnet_lite2'

def features(data):
    "Features and classes of all photographs."
    from petpoo.data.layouts import read_table
    from petpoo.data.table import split_table
    from petpoo.train.features import get_features
    from petpoo.train.heads import label_codes
    from petpoo.train.models import native_size
    from petpoo.train.pipeline import get_dls
    from petpoo.train.training import get_learner
    learn = get_learner(get_dls(split_table(read_table(data)), size=native_size(ARCH)), ARCH)
    return get_features(learn, learn.dls.table['path'])[:, 0].astype(np.float32), label_codes(learn)

def right(x, y, train, held, strength=18.):
    "Whether a head that was fitted to some rows is right on others."
    mean, std = x[train].mean(0), x[train].std(0) + 1e-3
    scaled = (x[train] - mean)/std
    classes, coef, constant = fit_logistic(lambda: [scaled], y[train], np.ones(len(train)), 1/strength, 200, 1e-3)
    return classes[((x[held] - mean)/std @ coef.T + constant).argmax(1)] == y[held]

def cross_validated(x, y, rows, strength=18., seed=0):
    hits = np.zeros(len(rows), bool)
    for train, held in fold_rows(y[rows], np.arange(len(rows)), 5, seed):
        hits[held] = right(x, y, rows[train], rows[held], strength)
    return hits

def nested(x, y, rows, seed=0):
    "Each fold chooses by a cross-validation of its own."
    hits = np.zeros(len(rows), bool)
    for train, held in fold_rows(y[rows], np.arange(len(rows)), 5, seed):
        best = max(STRENGTHS, key=lambda o: cross_validated(x, y, rows[train], o, seed + 1).mean())
        hits[held] = right(x, y, rows[train], rows[held], best)
    return hits

def repeat(x, y, n, seed, choose):
    "Hits of each kind of measurement on a part, and the accuracy on fresh photographs."
    order = np.random.default_rng(seed).permutation(len(y))
    rows, fresh = order[:n], order[n:]
    if not choose:
        train, held = fold_rows(y[rows], np.arange(n), 5, seed)[0]
        accuracy = right(x, y, rows, fresh).mean()
        return {'cross-validated': (cross_validated(x, y, rows, seed=seed), accuracy),
                'one fifth': (right(x, y, rows[train], rows[held]), accuracy)}
    by = {o: cross_validated(x, y, rows, o, seed) for o in STRENGTHS}
    best = max(STRENGTHS, key=lambda o: by[o].mean())
    accuracy = right(x, y, rows, fresh, best).mean()
    return {'chosen': (by[best], accuracy), 'nested': (nested(x, y, rows, seed), accuracy)}

def held(found, kind, fresh, folds):
    "How often the interval holds the accuracy on fresh photographs, and its mean width."
    hits = [o[kind][0] for o in found]
    low, high = np.transpose([wilson_interval(int(o.sum()), len(o), folds=folds) for o in hits])
    return np.mean((low <= fresh) & (fresh <= high)), np.mean(high - low)

def summarise(name, found, n):
    "Rows of the table for one data set."
    rows = []
    for kind in found[0]:
        fresh = np.array([o[kind][1] for o in found])
        measured = np.array([o[kind][0].mean() for o in found])
        covered, width = held(found, kind, fresh, 0 if kind == 'one fifth' else 5)
        row = dict(data=name, images=n, kind=kind, repeats=len(found), measured=measured.mean(), fresh=fresh.mean(),
                   covered=covered, width=width)
        if kind == 'cross-validated': row['plain_covered'], row['plain_width'] = held(found, kind, fresh, 0)
        rows.append(row)
    return rows

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--repeats', type=int, default=100)
    p.add_argument('--only', nargs='+', choices=['photographs', 'drawn'], default=['photographs', 'drawn'],
                   help='data sets to measure; the rows of the other one are kept')
    p.add_argument('--nested', type=int, default=100, help='repeats with a choice (default: %(default)s)')
    args = p.parse_args()
    warnings.simplefilter('ignore')
    rows = pd.read_csv(OUT).query('data not in @args.only').to_dict('records') if OUT.exists() else []
    with tempfile.TemporaryDirectory() as tmp:
        from petpoo.sample.faults import draw_pets
        if 'drawn' in args.only: draw_pets(f'{tmp}/pets', n=3700, size=256, seed=0)
        for name, data, n in (('photographs', args.data, 600), ('drawn', f'{tmp}/pets', 600)):
            if name not in args.only: continue
            x, y = features(data)
            for repeats, choose in ((args.repeats, False), (args.nested, True)):
                with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
                    found = list(pool.map(lambda seed: repeat(x, y, n, seed, choose), range(repeats)))
                rows += summarise(name, found, n)
                print(pd.DataFrame(rows).tail(2).round(4).to_string(index=False), flush=True)
    pd.DataFrame(rows).assign(**environment()).to_csv(OUT, index=False, float_format='%.4g')

if __name__ == '__main__': main()
