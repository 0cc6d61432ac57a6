"""What becomes of a cat-or-dog classifier when the dogs it learned from stood on grass, and did the check say so beforehand? Write results/shortcut.csv.

    python benchmarks/shortcut.py [--n 370] [--seed 21]

Drawn sets: at dial 0 the scene knows nothing of the species, at 1 all dogs stand on green and no cat does. Each classifier is tested on fresh photographs at its own dial and at the reversed one."""
import argparse, tempfile, warnings
from pathlib import Path
import pandas as pd
from petpoo.core import environment
from petpoo.data.layouts import oxford_table
from petpoo.data.table import split_table
from petpoo.train.phases import head_learner, quick
from petpoo.evaluate.interpret import get_predictions
from petpoo.evaluate.metrics import evaluate
from petpoo.train.pipeline import get_dls
from petpoo.evaluate.slices import shortcut_check
from petpoo.sample.faults import draw_pets
from petpoo.train.phases import fit
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'shortcut.csv'
ARCH, SIZE = 'tf_efficientnet_lite0', 128

def trained(table):
    learn = get_learner(get_dls(table, size=SIZE, target='species'), ARCH)
    head = head_learner(learn)
    with head.no_bar(), head.no_logging(): fit(head, quick())
    return learn

def greenness(check): return check[check.property == 'greenness'].iloc[0]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=370); p.add_argument('--seed', type=int, default=21)
    args = p.parse_args()
    warnings.simplefilter('ignore')
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        def drawn(name, seed, grass):
            draw_pets(f'{tmp}/{name}', n=args.n, size=SIZE, seed=seed, grass=grass)
            return oxford_table(f'{tmp}/{name}')
        for dial in (0., .5, 1.):
            table = split_table(drawn(f'train {dial}', args.seed, dial))
            before = greenness(shortcut_check(table))
            learn = trained(table)
            for i, (test, grass) in enumerate(dict(same=dial, reversed=-dial).items()):
                held = drawn(f'{test} {dial}', args.seed + 1 + i, grass)
                preds = get_predictions(learn, held)
                score, after = evaluate(preds).table.set_index('metric').loc['accuracy'], greenness(shortcut_check(held, preds))
                rows.append(dict(dial=dial, test=test, n=len(held), accuracy=score.value, low=score.low, high=score.high,
                    warned_before=before.warning, skill_before=before.skill, against_before=before.against,
                    accuracy_with=after.accuracy_with, accuracy_against=after.accuracy_against, verdict_before=before.verdict, verdict_after=after.verdict,
                    arch=ARCH, size=SIZE, seed=args.seed, **environment()))
                print({k: v for k, v in rows[-1].items() if k != 'verdict_before'}, flush=True)
    pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.4f')

if __name__ == '__main__': main()
