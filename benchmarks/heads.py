"""Compare a head that is fitted by regression with one that is trained step by step; write results/heads.csv.

    python benchmarks/heads.py path/to/oxford-iiit-pet

Both are one linear layer on the same cached features of tf_efficientnet_lite2: `PlainRegression`, and batch norm,
dropout and a linear layer in 20 epochs of one-cycle, as `learn.fit_head()` trains it. Both are cross-validated in the
same five parts (three where a class has three photos), each photo with a temperature that was fitted without it. The
pictures are Oxford's photographs and 740 drawn pets: all of them, or up to five sets with `a_class` photos of each class,
which are predicted each by itself and measured together. Differences are paired, photo by photo
(`petpoo.evaluate.comparison.compare`). `seconds` are those of the heads of all parts of one set, without the features:
regressions use all cores, and steps gain nothing by a second one."""
import argparse, tempfile, time
from pathlib import Path
import numpy as np, pandas as pd, torch
from fastai.callback.schedule import * # fit_one_cycle
from fastai.data.core import DataLoaders
from fastai.data.load import DataLoader
from fastai.learner import Learner
from fastcore.basics import noop
from petpoo.classify.calibration import calibrated_out_of_fold
from petpoo.core import atomic_path, environment, seed_everything
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.evaluate.comparison import compare
from petpoo.evaluate.predictions import predictions_table
from petpoo.sample.faults import draw_pets
from petpoo.train.callbacks import LoneImage
from petpoo.train.features import get_features
from petpoo.train.folds import fold_numbers, fold_rows
from petpoo.train.heads import HEAD_EPOCHS, HEAD_LR
from petpoo.train.models import make_head, native_size, one_thread
from petpoo.train.pipeline import get_dls
from petpoo.train.plain_regression import cross_predict
from petpoo.train.training import get_learner

OUT, ARCH, SEED = Path(__file__).parent.parent/'results'/'heads.csv', 'tf_efficientnet_lite2', 42
FEW, DRAWS = (10, 3), 5 # photos of a class in a small set, and sets
FACTS = ['data', 'target', 'a_class', 'photos', 'sets']
SHOWN = [*FACTS, 'run', 'metric', 'value', 'difference', 'difference_low', 'difference_high', 'seconds']

# --- heads ---

def loader(x, y, bs, shuffle):
    "Batches of features and classes."
    def batch(i): return torch.from_numpy(x[i].astype(np.float32)), torch.from_numpy(y[i])
    drop_last = shuffle and len(y) > bs
    return DataLoader(range(len(y)), bs=bs, shuffle=shuffle, drop_last=drop_last, create_item=noop, create_batch=batch)

def trained(learn, x, y, train, held):
    "Logits of a new head, trained on some rows, for others."
    head, bs = make_head(x.shape[1], y.max() + 1), 64 if len(train) < 2048 else 256
    dls = DataLoaders(loader(x[train], y[train], bs, True), loader(x[held], y[held], 4*bs, False))
    one = Learner(dls, head, loss_func=learn.loss_func, opt_func=learn.opt_func, wd=learn.wd, moms=learn.moms,
                  cbs=LoneImage())
    with one_thread(), one.no_bar(), one.no_logging():
        one.fit_one_cycle(HEAD_EPOCHS, HEAD_LR*bs/64)
        return one.get_preds(act=noop)[0].numpy()

def by_steps(learn, x, y, parts):
    "Logits of each photo by a head that was trained without it."
    seed_everything(SEED)
    logits = np.zeros((len(y), y.max() + 1), np.float32)
    for train, held in parts: logits[held] = trained(learn, x, y, train, held)
    return logits

def predicted(learn, x, names, paths):
    "Predictions of both heads, as tables with a column `fold`, and the seconds that each took."
    classes, y = np.unique(names, return_inverse=True)
    alone = np.arange(len(y))
    parts = fold_rows(y, alone, 5, SEED)
    heads = {'step by step': lambda: by_steps(learn, x, y, parts),
             'regression': lambda: cross_predict(x, y, alone, 5, SEED)}
    tables, seconds = {}, {}
    for name, fit in heads.items():
        began = time.perf_counter()
        logits = fit()
        seconds[name] = time.perf_counter() - began
        table = predictions_table(paths, names, calibrated_out_of_fold(logits, y), classes.tolist())
        tables[name] = table.assign(fold=fold_numbers(parts))
    return tables, seconds

# --- sets of photos ---

def small_sets(names, n):
    "Rows of sets that have no photo in common, each with `n` photos of each class."
    order = np.random.default_rng(SEED).permutation(len(names))
    rank = pd.Series(names[order]).groupby(names[order]).cumcount().to_numpy()
    sets = [order[rank//n == k] for k in range(DRAWS)]
    return [np.sort(o) for o in sets if len(o) == n*len({*names})]

def measure(learn, x, names, paths, sets):
    "Rows of the table: both heads on several sets of photos, measured together."
    found = [predicted(learn, x[o], names[o], paths[o]) for o in sets]
    runs = {name: pd.concat([tables[name] for tables, _ in found], ignore_index=True) for name in found[0][0]}
    table = compare(*runs.values(), names=list(runs)).table
    table['seconds'] = table.run.map({name: sum(o[name] for _, o in found)/len(found) for name in runs})
    return table[table.metric.isin(['accuracy', 'log_loss'])].assign(photos=len(sets[0]), sets=len(sets))

def of_data(name, data):
    "Rows of a data set."
    learn = get_learner(get_dls(split_table(read_table(data)), size=native_size(ARCH)), ARCH)
    table = learn.dls.table
    x, paths = get_features(learn, table['path'])[:, 0], table['path'].to_numpy()
    for target in ('label', 'species'):
        names = table[target].to_numpy().astype(str)
        sets = {'all': [np.arange(len(table))]} | {str(n): small_sets(names, n) for n in FEW}
        for a_class, some in sets.items():
            rows = measure(learn, x, names, paths, some).assign(data=name, target=target, a_class=a_class)
            print(rows[SHOWN].round(4).to_string(header=False, index=False), flush=True)
            yield rows

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        draw_pets(f'{tmp}/pets', n=740, size=256)
        rows = [*of_data('photographs', args.data), *of_data('drawn', f'{tmp}/pets')]
    found = pd.concat(rows).assign(arch=ARCH, **environment())
    with atomic_path(OUT) as path:
        found[[*FACTS, *found.columns.drop(FACTS)]].to_csv(path, index=False, float_format='%.5g')

if __name__ == '__main__': main()
