"""Does a head that has seen turned photographs know turned animals? Accuracy by angle, with and without; write results/rotation.csv and results/rotation.png.

    python benchmarks/rotation.py path/to/oxford-iiit-pet [--train 32] [--valid 11] [--copies 3]

Breeds, on so many photographs of each class. The body is the same and frozen in both runs, and both heads take equally many steps: the one without copies has more epochs. The figure shows curves alone."""
import argparse, tempfile, warnings
from pathlib import Path
import pandas as pd
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.train.phases import head_learner, quick
from petpoo.train.pipeline import get_dls
from petpoo.evaluate.corruptions import corrupted_copies
from petpoo.evaluate.robustness import plot_corruption_sweep, corruption_sweep
from petpoo.train.phases import fit
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'rotation.csv'

def few(table, **per_class):
    "So many images of each class in each split, always the same."
    return pd.concat([table[table.split == o].groupby('label').sample(n, random_state=0) for o, n in per_class.items()], ignore_index=True)

def trained(table, args, epochs):
    learn = get_learner(get_dls(table, size=args.size), args.arch)
    head = head_learner(learn)
    with head.no_bar(), head.no_logging(): fit(head, quick(epochs))
    return learn

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    for name, n in dict(train=32, valid=11, copies=3, size=192).items(): p.add_argument(f'--{name}', type=int, default=n)
    p.add_argument('--arch', default='tf_efficientnet_lite0')
    args = p.parse_args()
    warnings.simplefilter('ignore')
    table = few(split_table(read_table(args.data), valid=0.25), train=args.train, valid=args.valid)
    runs = {}
    with tempfile.TemporaryDirectory() as tmp:
        for run, copies in {'upright only': 0, 'with turned copies': args.copies}.items():
            learn = trained(corrupted_copies(table, f'{tmp}/turned', 'rotation', copies) if copies else table, args, 20//(1 + copies) if copies else 20)
            runs[run] = corruption_sweep(learn, table[table.split == 'valid'], 'rotation')
            print(run, runs[run].round(4).to_string(index=False), sep='\n', flush=True)
    notes = dict(arch=args.arch, size=args.size, train=int((table.split == 'train').sum()), copies=args.copies)
    with atomic_path(OUT) as tmp: pd.concat([df.assign(run=run, **notes, **environment()) for run, df in runs.items()]).to_csv(tmp, index=False, float_format='%.4f')
    with atomic_path(OUT.with_suffix('.png')) as tmp: plot_corruption_sweep(runs).savefig(tmp, dpi=130)

if __name__ == '__main__': main()
