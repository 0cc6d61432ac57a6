"""What are mirrored and cropped views of each training image worth to a head on features? Writes results/views.csv.

    python benchmarks/views.py path/to/oxford-iiit-pet [--seeds 5]

The same held-out fifth and the same features for all; only the number of views and the seed of the head differ. More views are more steps, so the epochs shrink in proportion."""
import argparse
from pathlib import Path
import pandas as pd
from petpoo.core import environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.train.phases import head_learner, quick
from petpoo.train.pipeline import get_dls
from petpoo.train.phases import fit
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'views.csv'

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data'); p.add_argument('--seeds', type=int, default=5)
    args = p.parse_args()
    dls = get_dls(split_table(read_table(args.data)), size=260)
    rows = []
    for views in (1, 2, 4):
        for seed in range(args.seeds):
            head = head_learner(get_learner(dls, seed=seed), views=views)
            with head.no_bar(), head.no_logging(): last = fit(head, quick(epochs=20//views)).iloc[-1]
            rows.append(dict(views=views, seed=seed, accuracy=last.accuracy, valid_loss=last.valid_loss, **environment()))
        pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.4f')
        print(pd.DataFrame(rows).groupby('views')[['accuracy', 'valid_loss']].agg(['mean', 'std']).round(4).to_string(), flush=True)

if __name__ == '__main__': main()
