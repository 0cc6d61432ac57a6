"""Is `standard` better than `quick` by more than chance? Cross-validated on real photographs; write results/recipes.csv.

    python benchmarks/recipes.py path/to/oxford-iiit-pet [--folds 5] [--recipes quick,standard] [--epochs 3]

Every photograph is predicted by models that were not trained on it, once by each recipe, so the recipes are compared on the same photographs, in pairs:
McNemar's test for accuracy, the paired bootstrap for the rest. The predictions of a fold that is done are kept in the cache folder; a second call goes on from there."""
import argparse, time
from pathlib import Path
import numpy as np, pandas as pd
from sklearn.model_selection import StratifiedKFold
from petpoo.core import atomic_path, cache_dir, environment
from petpoo.data.layouts import read_table
from petpoo.train.phases import recipe_steps
from petpoo.evaluate.interpret import get_predictions
from petpoo.evaluate.comparison import compare
from petpoo.evaluate.predictions import read_predictions, save_predictions
from petpoo.train.pipeline import get_dls
from petpoo.train.models import native_size
from petpoo.train.phases import fit
from petpoo.train.training import get_learner

OUT, ARCH = Path(__file__).parent.parent/'results'/'recipes.csv', 'tf_efficientnet_lite2'

def predictions(table, recipe, epochs, file):
    "Predictions of the held-out fold, and the seconds of training."
    if file.exists(): return read_predictions(file)
    learn, began = get_learner(get_dls(table, size=native_size(ARCH)), ARCH), time.perf_counter()
    for step, phases in recipe_steps(learn, recipe, epochs):
        with step.no_bar(), step.no_logging(): fit(step, phases)
    preds = get_predictions(learn, table[table.split == 'valid']).assign(seconds=time.perf_counter() - began)
    save_predictions(preds, file)
    return preds

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data'); p.add_argument('--folds', type=int, default=5); p.add_argument('--epochs', type=int, default=3); p.add_argument('--recipes', default='quick,standard')
    args = p.parse_args()
    table, runs = read_table(args.data), {o: [] for o in args.recipes.split(',')}
    folder = cache_dir()/'recipes'
    folder.mkdir(exist_ok=True)
    for fold, (_, held) in enumerate(StratifiedKFold(args.folds, shuffle=True, random_state=0).split(table, table.label)):
        split = table.assign(split=np.where(np.isin(np.arange(len(table)), held), 'valid', 'train'))
        for recipe in runs:
            runs[recipe].append(predictions(split, recipe, args.epochs, folder/f'{recipe}-{args.epochs}-{fold}.csv'))
            print(fold, recipe, f'{(runs[recipe][-1].truth == runs[recipe][-1].predicted).mean():.4f}', f'{runs[recipe][-1].seconds.iloc[0]:.0f} s', flush=True)
    found = compare(*map(pd.concat, runs.values()), names=list(runs))
    print(found)
    with atomic_path(OUT) as path: found.table.assign(photos=len(table), folds=args.folds, epochs=args.epochs, arch=ARCH, **environment()).to_csv(path, index=False, float_format='%.5f')

if __name__ == '__main__': main()
