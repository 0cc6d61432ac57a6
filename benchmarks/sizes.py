"""Measure what larger pictures add to a head on features, by cross-validation; write results/sizes.csv.

    python benchmarks/sizes.py path/to/oxford-iiit-pet [--sizes 260,320] [--seeds 2]

Every photograph is predicted by a head that was not fitted to it. Each seed makes other folds."""
import argparse
from pathlib import Path
import numpy as np, pandas as pd
from petpoo.core import environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.train.heads import label_codes, out_of_fold
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.train.pipeline import get_dls
from petpoo.train.training import get_learner

OUT, ARCH = Path(__file__).parent.parent/'results'/'sizes.csv', 'tf_efficientnet_lite2'

def measure(learn, size, seed):
    "Accuracy and log loss of one cross-validation."
    truth, probs = label_codes(learn), out_of_fold(learn, seed=seed)
    correct, own = probs.argmax(1) == truth, probs[np.arange(len(truth)), truth]
    low, high = wilson_interval(correct.sum(), len(correct), folds=5)
    return dict(
        arch=ARCH, size=size, seed=seed, photos=len(truth), accuracy=correct.mean(), low=low, high=high,
        log_loss=-np.log(own.clip(1e-9)).mean(), **environment())

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--sizes', default='260,320', help='of the input, in pixels (default: %(default)s)')
    p.add_argument('--seeds', type=int, default=2, help='cross-validations of each size (default: %(default)s)')
    return p.parse_args()

def main():
    args = arguments()
    table, rows = split_table(read_table(args.data)), []
    for size in map(int, args.sizes.split(',')):
        learn = get_learner(get_dls(table, size=size), ARCH)
        for seed in range(args.seeds):
            rows.append(measure(learn, size, seed))
            print(*list(rows[-1].values())[:8], flush=True)
    pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.4f')

if __name__ == '__main__': main()
