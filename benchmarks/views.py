"""Measure what mirrored and cropped views of each training image add to a head on features; write results/views.csv.

    python benchmarks/views.py path/to/oxford-iiit-pet [--seeds 5]

All runs share the held-out fifth and the features. Only the number of views and the seed of the head differ. More views
make more steps in an epoch, so the epochs are fewer in proportion."""
import argparse
from pathlib import Path
import pandas as pd
from petpoo.core import environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.train.heads import HEAD_EPOCHS
from petpoo.train.pipeline import get_dls
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'views.csv'

def measure(dls, views, seed):
    "Accuracy and loss after the last epoch."
    learn = get_learner(dls, seed=seed)
    learn.fit_head(HEAD_EPOCHS//views, views=views)
    last = learn.history().iloc[-1]
    return dict(views=views, seed=seed, accuracy=last.accuracy, valid_loss=last.valid_loss, **environment())

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--seeds', type=int, default=5, help='heads for each number of views (default: %(default)s)')
    return p.parse_args()

def main():
    args = arguments()
    dls, rows = get_dls(split_table(read_table(args.data)), size=260), []
    for views in (1, 2, 4):
        rows += [measure(dls, views, seed) for seed in range(args.seeds)]
        table = pd.DataFrame(rows)
        table.to_csv(OUT, index=False, float_format='%.4f')
        figures = table.groupby('views')[['accuracy', 'valid_loss']]
        print(figures.agg(['mean', 'std']).round(4).to_string(), flush=True)

if __name__ == '__main__': main()
