"""Train on real photographs by each recipe, and the plain baseline beside it; write results/foundation.csv.

    python benchmarks/foundation.py path/to/oxford-iiit-pet [--only quick_breeds,baseline_breeds]

A fifth of the photographs is held out by the seeded split that `petpoo train` makes. Each figure is a row; runs that are not asked for keep theirs.
The feature cache is empty at the start, but for the run `warm_breeds`. On two cores the four quick runs take minutes and each of the others up to half an hour."""
import argparse, os, tempfile, time
from pathlib import Path
import pandas as pd
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.train.phases import recipe_steps
from petpoo.evaluate.interpret import get_predictions
from petpoo.evaluate.metrics import evaluate
from petpoo.evaluate.predictions import species_predictions
from petpoo.train.pipeline import get_dls
from petpoo.train.models import native_size
from petpoo.train.phases import fit
from petpoo.train.training import get_learner

LITE2, RESNET = 'tf_efficientnet_lite2', 'resnet18'
RUNS = { # name -> architecture, recipe, target, is the cache warm?
    'quick_breeds': (LITE2, 'quick', 'label', False), 'warm_breeds': (LITE2, 'quick', 'label', True), 'quick_species': (LITE2, 'quick', 'species', False),
    'baseline_breeds': (RESNET, 'baseline', 'label', False), 'baseline_species': (RESNET, 'baseline', 'species', False),
    'standard_breeds': (LITE2, 'standard', 'label', True), 'full_breeds': (LITE2, 'full', 'label', True)}
OUT = Path(__file__).parent.parent/'results'/'foundation.csv'

def train(table, arch, recipe, target, seed, epochs):
    plain = recipe == 'baseline'
    dls = get_dls(split_table(table, seed=seed, by=target), size=native_size(arch), target=target, augment=not plain, seed=seed)
    learn = get_learner(dls, arch, pretrained=not plain, seed=seed)
    for step, phases in recipe_steps(learn, recipe, epochs):
        with step.no_bar(), step.no_logging(): fit(step, phases)
    return learn

def run(name, data, seed, epochs):
    arch, recipe, target, warm = RUNS[name]
    if not warm: os.environ['PETPOO_CACHE'] = tempfile.mkdtemp()
    began = time.perf_counter()
    learn = train(read_table(data), arch, recipe, target, seed, epochs)
    seconds = time.perf_counter() - began
    preds = get_predictions(learn, learn.dls.table.query("split == 'valid'"))
    reports = {target: evaluate(preds)}
    if target == 'label': reports['species'] = evaluate(species_predictions(preds, learn.dls.spec.species))
    return [dict(run=name, arch=arch, recipe=recipe, epochs=epochs, seed=seed, size=learn.dls.spec.size[0], cache='warm' if warm else 'cold', seconds=round(seconds, 1),
                 question=question, n=report.n, **row._asdict(), **environment()) for question, report in reports.items() for row in report.table.itertuples(index=False)]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data'); p.add_argument('--epochs', type=int, default=4); p.add_argument('--seed', type=int, default=42); p.add_argument('--only', default=','.join(RUNS))
    args = p.parse_args()
    for name in args.only.split(','):
        rows = pd.DataFrame(run(name, args.data, args.seed, args.epochs))
        if OUT.exists():
            old = pd.read_csv(OUT)
            rows = pd.concat([old[old.run != name], rows])
        with atomic_path(OUT) as path: rows.to_csv(path, index=False, float_format='%.4f')
        print(rows[rows.run == name][['run', 'question', 'metric', 'value', 'low', 'high', 'seconds']].to_string(), flush=True)

if __name__ == '__main__': main()
