"""Test whether the recipe `full` is better than `quick`, by cross-validation; write results/recipes.csv.

    python benchmarks/recipes.py path/to/oxford-iiit-pet [--folds 5] [--recipes quick,full] [--epochs 3]

Each recipe predicts every photograph by a model that was not trained on it, so the recipes are compared on the same
photographs, in pairs: McNemar's test for accuracy, the paired bootstrap for the other metrics. The predictions of a
finished fold are kept in the cache folder, and a second call resumes after them. The file that is there compares `quick`
with three epochs of the last stages on cached maps, a recipe that was dropped for it."""
import argparse, time
from pathlib import Path
import numpy as np, pandas as pd
from sklearn.model_selection import StratifiedKFold
from foundation import fit_recipe
from petpoo.core import atomic_path, cache_dir, environment
from petpoo.data.layouts import read_table
from petpoo.evaluate.comparison import compare
from petpoo.evaluate.interpret import * # learn.predictions
from petpoo.evaluate.predictions import read_predictions, save_predictions
from petpoo.train.models import native_size
from petpoo.train.pipeline import get_dls
from petpoo.train.training import get_learner

OUT, ARCH = Path(__file__).parent.parent/'results'/'recipes.csv', 'tf_efficientnet_lite2'

def predictions(table, recipe, epochs, file):
    "Predictions of the held-out fold, and the seconds of training."
    if file.exists(): return read_predictions(file)
    learn = get_learner(get_dls(table, size=native_size(ARCH)), ARCH)
    began = time.perf_counter()
    fit_recipe(learn, recipe, epochs)
    preds = learn.predictions().assign(seconds=time.perf_counter() - began)
    save_predictions(preds, file)
    return preds

def folds(table, n):
    "Yield the table `n` times, another part of it held out each time."
    parts = StratifiedKFold(n, shuffle=True, random_state=0).split(table, table.label)
    for _, held in parts: yield table.assign(split=np.where(np.isin(np.arange(len(table)), held), 'valid', 'train'))

def cross_validate(table, args):
    "Recipe -> the predictions of its folds."
    runs, folder = {o: [] for o in args.recipes.split(',')}, cache_dir()/'recipes'
    folder.mkdir(exist_ok=True)
    for fold, split in enumerate(folds(table, args.folds)):
        for recipe in runs:
            preds = predictions(split, recipe, args.epochs, folder/f'{recipe}-{args.epochs}-{fold}.csv')
            accuracy, seconds = (preds.truth == preds.predicted).mean(), preds.seconds.iloc[0]
            print(fold, recipe, f'{accuracy:.4f}', f'{seconds:.0f} s', flush=True)
            runs[recipe].append(preds)
    return runs

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--folds', type=int, default=5)
    p.add_argument('--epochs', type=int, default=3, help='after the head (default: %(default)s)')
    p.add_argument('--recipes', default='quick,full', help='two, separated by a comma (default: %(default)s)')
    return p.parse_args()

def main():
    args = arguments()
    table = read_table(args.data)
    runs = cross_validate(table, args)
    found = compare(*map(pd.concat, runs.values()), names=list(runs))
    print(found)
    facts = dict(photos=len(table), folds=args.folds, epochs=args.epochs, arch=ARCH, **environment())
    with atomic_path(OUT) as path: found.table.assign(**facts).to_csv(path, index=False, float_format='%.5f')

if __name__ == '__main__': main()
