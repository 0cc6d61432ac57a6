"""Are the drawn pets hard enough to teach with? A small network from scratch and a pretrained one on the same set; write results/sample_lesson.csv.

    python benchmarks/sample_lesson.py [--n 1480] [--seed 11]

The seed is none that the drawings were tuned on."""
import argparse, tempfile
from pathlib import Path
import pandas as pd
from petpoo.core import environment
from petpoo.data.layouts import oxford_table
from petpoo.data.table import split_table
from petpoo.train.phases import head_learner, quick
from petpoo.evaluate.interpret import get_predictions
from petpoo.evaluate.metrics import evaluate
from petpoo.evaluate.predictions import species_predictions
from petpoo.train.pipeline import get_dls
from petpoo.sample.faults import draw_pets
from petpoo.train.phases import Phase, fit
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'sample_lesson.csv'

def scratch(table, target):
    learn = get_learner(get_dls(table, size=96, target=target), 'resnet10t', pretrained=False, wd=0.01, dropout=0.2)
    with learn.no_bar(), learn.no_logging(): fit(learn, [Phase('scratch', 12, 4e-3)])
    return learn

def pretrained(table, target):
    learn = get_learner(get_dls(table, size=260, target=target))
    head = head_learner(learn)
    with head.no_bar(), head.no_logging(): fit(head, quick())
    return learn

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=1480); p.add_argument('--seed', type=int, default=11)
    args = p.parse_args()
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        draw_pets(f'{tmp}/pets', n=args.n, seed=args.seed)
        table = split_table(oxford_table(f'{tmp}/pets'))
        for how, target in ((pretrained, 'label'), (scratch, 'species'), (scratch, 'label')):
            learn = how(table, target)
            preds = get_predictions(learn, table[table.split == 'valid'])
            for question, o in ({target: preds} | ({'species': species_predictions(preds, learn.dls.spec.species)} if target == 'label' else {})).items():
                report = evaluate(o).table.set_index('metric')
                rows.append(dict(how=how.__name__, trained_on=target, question=question, arch=learn.arch, images=args.n, seed=args.seed, **report.loc['accuracy'].to_dict(), majority=report.value['majority_baseline'], **environment()))
                print(list(rows[-1].values())[:10], flush=True)
            pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.4f')

if __name__ == '__main__': main()
