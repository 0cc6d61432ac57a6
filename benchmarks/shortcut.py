"""Measure what a shortcut costs a classifier, and whether the check warned of it; write results/shortcut.csv.

    python benchmarks/shortcut.py [--n 370] [--seed 21]

The sets are drawn. At dial 0 the scene says nothing about the species; at dial 1 all dogs stand on green ground and no
cat does. Each classifier is tested on new pictures, once at its own dial and once at the reversed one."""
import argparse, tempfile, warnings
from pathlib import Path
import pandas as pd
from petpoo.core import environment
from petpoo.data.layouts import oxford_table
from petpoo.data.table import split_table
from petpoo.evaluate.interpret import * # learn.predictions
from petpoo.evaluate.metrics import evaluate
from petpoo.evaluate.slices import shortcut_check
from petpoo.sample.faults import draw_pets
from petpoo.train.heads import * # learn.fit_head
from petpoo.train.pipeline import get_dls
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'shortcut.csv'
ARCH, SIZE = 'tf_efficientnet_lite0', 128

def trained(table):
    "A learner with a trained head."
    learn = get_learner(get_dls(table, size=SIZE, target='species'), ARCH)
    learn.fit_head()
    return learn

def drawn(folder, n, seed, grass):
    "The table of a drawn set."
    draw_pets(folder, n=n, size=SIZE, seed=seed, grass=grass)
    return oxford_table(folder)

def greenness(check): return check[check.property == 'greenness'].iloc[0]

def tested(learn, held):
    "Accuracy on a set, over all and with or against the shortcut."
    preds = learn.predictions(held)
    score, after = evaluate(preds).table.set_index('metric').loc['accuracy'], greenness(shortcut_check(held, preds))
    return score, after

def measure(dial, args, folder):
    "Rows of one dial."
    table = split_table(drawn(f'{folder}/train {dial}', args.n, args.seed, dial))
    before = greenness(shortcut_check(table))
    learn = trained(table)
    for i, (test, grass) in enumerate(dict(same=dial, reversed=-dial).items()):
        held = drawn(f'{folder}/{test} {dial}', args.n, args.seed + 1 + i, grass)
        score, after = tested(learn, held)
        yield dict(
            dial=dial, test=test, n=len(held), accuracy=score.value, low=score.low, high=score.high,
            warned_before=before.warning, skill_before=before.skill, against_before=before.against,
            accuracy_with=after.accuracy_with, accuracy_against=after.accuracy_against,
            verdict_before=before.verdict, verdict_after=after.verdict,
            arch=ARCH, size=SIZE, seed=args.seed, **environment())

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=370, help='pictures in each set (default: %(default)s)')
    p.add_argument('--seed', type=int, default=21)
    return p.parse_args()

def main():
    args, rows = arguments(), []
    warnings.simplefilter('ignore')
    with tempfile.TemporaryDirectory() as tmp:
        for dial in (0., .5, 1.):
            for row in measure(dial, args, tmp):
                rows.append(row)
                print({k: v for k, v in row.items() if k != 'verdict_before'}, flush=True)
    pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.4f')

if __name__ == '__main__': main()
