"""Train on real photographs by each recipe and by the plain baseline; write results/foundation.csv.

    python benchmarks/foundation.py path/to/oxford-iiit-pet [--only quick_breeds,baseline_breeds]

A fifth of the photographs is held out by the seeded split of `petpoo train`. The file has a row for each figure; runs
that are not named keep their rows. Each run starts with an empty feature cache, but for those that are marked warm,
which take the cache of the run before. On two cores the quick runs take minutes, each of the others up to half an
hour."""
import argparse, os, tempfile, time
from pathlib import Path
import pandas as pd
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.evaluate.interpret import * # learn.predictions
from petpoo.evaluate.metrics import evaluate
from petpoo.evaluate.predictions import species_predictions
from petpoo.train.heads import * # learn.fit_head and learn.cross_validate
from petpoo.train.models import native_size
from petpoo.train.pipeline import get_dls
from petpoo.train.training import get_learner

LITE2, RESNET = 'tf_efficientnet_lite2', 'resnet18'
RUNS = { # name -> architecture, recipe, target, is the cache warm?
    'quick_breeds': (LITE2, 'quick', 'label', False),
    'warm_breeds': (LITE2, 'quick', 'label', True),
    'quick_species': (LITE2, 'quick', 'species', False),
    'baseline_breeds': (RESNET, 'baseline', 'label', False),
    'baseline_species': (RESNET, 'baseline', 'species', False),
    'full_breeds': (LITE2, 'full', 'label', True)}
OUT = Path(__file__).parent.parent/'results'/'foundation.csv'

def fit_recipe(learn, recipe, epochs):
    "Train as `petpoo train --recipe` does, with the last epoch's weights."
    if recipe == 'quick': return learn.cross_validate(splits=('train',))
    if recipe == 'full': learn.fit_head()
    with learn.no_bar(), learn.no_logging():
        learn.unfreeze()
        if recipe == 'full': learn.fit_one_cycle(epochs, slice(1e-5, 2e-4))
        else: learn.fit(epochs, 1e-3)

def train(table, arch, recipe, target, seed, epochs):
    "A trained learner."
    plain = recipe == 'baseline'
    split = split_table(table, seed=seed, by=target)
    dls = get_dls(split, size=native_size(arch), target=target, augment=not plain, seed=seed)
    learn = get_learner(dls, arch, pretrained=not plain, seed=seed)
    fit_recipe(learn, recipe, epochs)
    return learn

def reports(learn):
    "Target -> report on the held-out photographs; a model of breeds is asked for the species too."
    target, preds = learn.dls.spec.target, learn.predictions()
    found = {target: evaluate(preds)}
    if target == 'label': found['species'] = evaluate(species_predictions(preds, learn.dls.spec.species))
    return found

def run(name, data, seed, epochs):
    "Rows of one run."
    arch, recipe, target, warm = RUNS[name]
    if not warm: os.environ['PETPOO_CACHE'] = tempfile.mkdtemp()
    began = time.perf_counter()
    learn = train(read_table(data), arch, recipe, target, seed, epochs)
    seconds = round(time.perf_counter() - began, 1)
    facts = dict(
        run=name, arch=arch, recipe=recipe, epochs=epochs, seed=seed, size=learn.dls.spec.size[0],
        cache='warm' if warm else 'cold', seconds=seconds)
    return [
        facts | dict(question=question, n=report.n) | row._asdict() | environment()
        for question, report in reports(learn).items() for row in report.table.itertuples(index=False)]

def write(rows, name):
    "Put the rows of a run in place of its older ones."
    if OUT.exists():
        old = pd.read_csv(OUT)
        rows = pd.concat([old[old.run != name], rows])
    with atomic_path(OUT) as path: rows.to_csv(path, index=False, float_format='%.4f')

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--epochs', type=int, default=4, help='after the head (default: %(default)s)')
    p.add_argument('--seed', type=int, default=42)
    p.add_argument('--only', default=','.join(RUNS), help='runs, separated by commas (default: %(default)s)')
    return p.parse_args()

def main():
    args = arguments()
    for name in args.only.split(','):
        rows = pd.DataFrame(run(name, args.data, args.seed, args.epochs))
        write(rows, name)
        print(rows[['run', 'question', 'metric', 'value', 'low', 'high', 'seconds']].to_string(), flush=True)

if __name__ == '__main__': main()
