"""Measure how hard the drawn pets are to learn; write results/sample_lesson.csv.

    python benchmarks/sample_lesson.py [--n 1480] [--seed 11]

A head on a pretrained network learns the breeds, and a small network learns species and breeds from scratch, on the
same drawn set. The drawings were not tuned on the default seed."""
import argparse, tempfile
from pathlib import Path
import pandas as pd
from petpoo.core import environment
from petpoo.data.layouts import oxford_table
from petpoo.data.table import split_table
from petpoo.evaluate.interpret import * # learn.predictions
from petpoo.evaluate.metrics import evaluate
from petpoo.evaluate.predictions import species_predictions
from petpoo.sample.faults import draw_pets
from petpoo.train.heads import * # learn.fit_head
from petpoo.train.pipeline import get_dls
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'sample_lesson.csv'

def scratch(table, target):
    "A small network with random weights, trained for twelve epochs."
    learn = get_learner(get_dls(table, size=96, target=target), 'resnet10t', pretrained=False, wd=0.01, dropout=0.2)
    with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(12, 4e-3)
    return learn

def pretrained(table, target):
    "A head on the default network."
    learn = get_learner(get_dls(table, size=260, target=target))
    learn.fit_head()
    return learn

def reports(learn):
    "Target -> metrics of the held-out images; a model of breeds is asked for the species too."
    target, preds = learn.dls.spec.target, learn.predictions()
    found = {target: preds}
    if target == 'label': found['species'] = species_predictions(preds, learn.dls.spec.species)
    return {k: evaluate(v).table.set_index('metric') for k, v in found.items()}

def measure(how, table, target, seed):
    "Rows of one learner."
    learn = how(table, target)
    for question, report in reports(learn).items():
        facts = dict(
            how=how.__name__, trained_on=target, question=question, arch=learn.arch, images=len(table), seed=seed)
        accuracy, majority = report.loc['accuracy'].to_dict(), report.value['majority_baseline']
        yield dict(**facts, **accuracy, majority=majority, **environment())

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=1480, help='drawn pets (default: %(default)s)')
    p.add_argument('--seed', type=int, default=11)
    return p.parse_args()

def main():
    args, rows = arguments(), []
    with tempfile.TemporaryDirectory() as tmp:
        draw_pets(f'{tmp}/pets', n=args.n, seed=args.seed)
        table = split_table(oxford_table(f'{tmp}/pets'))
        for how, target in ((pretrained, 'label'), (scratch, 'species'), (scratch, 'label')):
            for row in measure(how, table, target, args.seed):
                rows.append(row)
                print(list(row.values())[:10], flush=True)
            pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.4f')

if __name__ == '__main__': main()
