"""Test whether the recipe `full` is better than `quick`, by cross-validation; write results/recipes.csv.

    python benchmarks/recipes.py path/to/oxford-iiit-pet [--folds 5] [--recipes quick,full] [--epochs 3]
    python benchmarks/recipes.py path/to/oxford-iiit-pet --each 25 --arch tf_efficientnet_lite0 --size 160 --folds 3
    python benchmarks/recipes.py --drawn 1850 --arch tf_efficientnet_lite0 --size 128 --epochs 8

Each recipe predicts every picture by a model that was not trained on it, so the recipes are compared on the same
pictures, in pairs: McNemar's test for accuracy, the paired bootstrap for the other metrics. Drawn pets are less like
ImageNet's photographs than Oxford's are. The predictions of a finished fold are kept in the cache folder, and a second
call resumes after them; rows of another data set or recipe stay in the file. Rows of `standard` are of three epochs of
the last stages on cached maps, a recipe that was dropped for them."""
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
from petpoo.sample.faults import draw_pets
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'recipes.csv'

def predictions(table, recipe, args, file):
    "Predictions of the held-out fold, and the seconds of training."
    if file.exists(): return read_predictions(file).astype(dict(seconds=float))
    learn = get_learner(get_dls(table, size=args.size or native_size(args.arch)), args.arch)
    began = time.perf_counter()
    fit_recipe(learn, recipe, args.epochs)
    preds = learn.predictions().assign(seconds=time.perf_counter() - began)
    save_predictions(preds, file)
    return preds

def folds(table, n):
    "Yield the table `n` times, another part of it held out each time."
    parts = StratifiedKFold(n, shuffle=True, random_state=0).split(table, table.label)
    for _, held in parts: yield table.assign(split=np.where(np.isin(np.arange(len(table)), held), 'valid', 'train'))

def cross_validate(table, args):
    "Recipe -> the predictions of its folds."
    runs = {o: [] for o in args.recipes.split(',')}
    folder = cache_dir()/'recipes'/f'{name_of(args)}-{args.arch}-{args.size}'
    folder.mkdir(parents=True, exist_ok=True)
    for fold, split in enumerate(folds(table, args.folds)):
        for recipe in runs:
            preds = predictions(split, recipe, args, folder/f'{recipe}-{args.epochs}-{fold}.csv')
            accuracy, seconds = (preds.truth == preds.predicted).mean(), preds.seconds.iloc[0]
            print(fold, recipe, f'{accuracy:.4f}', f'{seconds:.0f} s', flush=True)
            runs[recipe].append(preds.assign(fold=fold))
    return runs

def name_of(args):
    if args.drawn: return f'drawn-{args.drawn}'
    return Path(args.data).name + (f'-{args.each}-each' if args.each else '')

def read_pictures(args):
    "The table of the pictures; drawn ones are drawn once."
    if not args.drawn:
        table = read_table(args.data)
        return table.groupby('label').sample(args.each, random_state=0).reset_index(drop=True) if args.each else table
    folder = cache_dir()/f'drawn-{args.drawn}'
    if not folder.exists(): draw_pets(folder, n=args.drawn, size=128, seed=1)
    return read_table(folder)

def write_rows(table):
    "Put rows into the file, in place of older ones of the same data and recipes."
    if OUT.exists():
        old = pd.read_csv(OUT)
        again = old.data.isin(table.data) & old.run.isin(table.run)
        table = pd.concat([old[~again], table])
    with atomic_path(OUT) as path: table.to_csv(path, index=False, float_format='%.5g')

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data', nargs='?')
    p.add_argument('--drawn', type=int, metavar='N', help='N drawn pets of 128 pixels instead')
    p.add_argument('--each', type=int, metavar='N', help='N photographs of each class (default: all)')
    p.add_argument('--arch', default='tf_efficientnet_lite2', help='default: %(default)s')
    p.add_argument('--size', type=int, help="pixels (default: the architecture's own)")
    p.add_argument('--folds', type=int, default=5)
    p.add_argument('--epochs', type=int, default=3, help='after the head (default: %(default)s)')
    p.add_argument('--recipes', default='quick,full', help='two, separated by a comma (default: %(default)s)')
    return p.parse_args()

def main():
    args = arguments()
    table = read_pictures(args)
    runs = cross_validate(table, args)
    found = compare(*map(pd.concat, runs.values()), names=list(runs))
    print(found)
    seconds = {name: sum(o.seconds.iloc[0] for o in preds)/args.folds for name, preds in runs.items()}
    facts = dict(data=name_of(args), photos=len(table), folds=args.folds, epochs=args.epochs, arch=args.arch,
                 size=args.size or native_size(args.arch)[0], **environment())
    write_rows(found.table.assign(seconds=found.table.run.map(seconds), **facts))

if __name__ == '__main__': main()
