"""Train on real photographs as `petpoo train` does, and the plain baseline beside it; write results/foundation.csv.

    python benchmarks/foundation.py path/to/oxford-iiit-pet [--epochs 3] [--only breeds,species,baseline]

A fifth of the photographs is held out by the seeded split that `petpoo train` makes. Each run is one row a figure."""
import argparse, time
from pathlib import Path
import pandas as pd
from petpoo.core import environment
from petpoo.data import read_table, split_table
from petpoo.interpret import get_predictions
from petpoo.metrics import evaluate, species_predictions
from petpoo.pipeline import get_dls
from petpoo.training import baseline, fit, get_learner, transfer

RUNS = dict(
    breeds=dict(target='label', arch='tf_efficientnet_lite0', pretrained=True),
    species=dict(target='species', arch='tf_efficientnet_lite0', pretrained=True),
    baseline_breeds=dict(target='label', arch='resnet18', pretrained=False),
    baseline_species=dict(target='species', arch='resnet18', pretrained=False))

def run(name, table, seed, epochs):
    how = RUNS[name]
    began = time.perf_counter()
    dls = get_dls(split_table(table, seed=seed, by=how['target']), target=how['target'], augment=how['pretrained'], seed=seed)
    learn = get_learner(dls, how['arch'], pretrained=how['pretrained'], seed=seed)
    phases = transfer(unfrozen=epochs) if how['pretrained'] else baseline(epochs + 1)
    with learn.no_bar(): fit(learn, phases)
    minutes = (time.perf_counter() - began)/60
    preds = get_predictions(learn, dls.table.query("split == 'valid'"))
    reports = {how['target']: evaluate(preds)}
    if how['target'] == 'label': reports['species'] = evaluate(species_predictions(preds, dls.spec.species))
    return [dict(run=name, arch=how['arch'], pretrained=how['pretrained'], plan='; '.join(map(str, phases)), seed=seed, size=dls.spec.size[0], minutes=round(minutes, 1),
                 question=target, **row._asdict()) for target, report in reports.items() for row in report.table.itertuples(index=False)]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data'); p.add_argument('--epochs', type=int, default=3); p.add_argument('--seed', type=int, default=42); p.add_argument('--only', default=','.join(RUNS))
    args = p.parse_args()
    rows, out = [], Path(__file__).parent.parent/'results'/'foundation.csv'
    for name in args.only.split(','):
        rows += run(name, read_table(args.data), args.seed, args.epochs)
        pd.DataFrame(rows).assign(**environment()).to_csv(out, index=False, float_format='%.4f')
        print(pd.DataFrame(rows)[['run', 'question', 'metric', 'value', 'low', 'high', 'minutes']].to_string(), flush=True)

if __name__ == '__main__': main()
