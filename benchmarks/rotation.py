"""Measure accuracy by angle of rotation, for a head with and without rotated copies in its training data; write
results/rotation.csv and results/rotation.png.

    python benchmarks/rotation.py path/to/oxford-iiit-pet [--train 32] [--valid 11] [--copies 3]

The classes are breeds, with so many photographs of each. Both runs have the same frozen body and take the same number
of steps: the run without copies has more epochs. The figure shows the curves and no photograph."""
import argparse, tempfile, warnings
from pathlib import Path
import pandas as pd
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.evaluate.corruptions import corrupted_copies
from petpoo.evaluate.robustness import corruption_sweep, plot_corruption_sweep
from petpoo.train.heads import HEAD_EPOCHS
from petpoo.train.pipeline import get_dls
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'rotation.csv'

def few(table, **per_class):
    "A fixed sample: split -> images of each class."
    parts = [table[table.split == o].groupby('label').sample(n, random_state=0) for o, n in per_class.items()]
    return pd.concat(parts, ignore_index=True)

def trained(table, args, epochs):
    "A learner with a trained head."
    learn = get_learner(get_dls(table, size=args.size), args.arch)
    learn.fit_head(epochs)
    return learn

def sweeps(table, args):
    "Yield the name of a run, and its accuracy by angle."
    valid = table[table.split == 'valid']
    yield 'upright only', corruption_sweep(trained(table, args, HEAD_EPOCHS), valid, 'rotation')
    with tempfile.TemporaryDirectory() as tmp:
        turned = corrupted_copies(table, f'{tmp}/turned', 'rotation', args.copies) if args.copies else table
        learn = trained(turned, args, HEAD_EPOCHS//(1 + args.copies))
        yield 'with turned copies', corruption_sweep(learn, valid, 'rotation')

def write(runs, facts):
    "The table and the figure."
    table = pd.concat([df.assign(run=run, **facts, **environment()) for run, df in runs.items()])
    with atomic_path(OUT) as path: table.to_csv(path, index=False, float_format='%.4f')
    with atomic_path(OUT.with_suffix('.png')) as path: plot_corruption_sweep(runs).savefig(path, dpi=130)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--train', type=int, default=32, help='training photographs of each breed (default: %(default)s)')
    p.add_argument('--valid', type=int, default=11, help='held-out photographs of each breed (default: %(default)s)')
    p.add_argument('--copies', type=int, default=3, help='rotated copies of each one (default: %(default)s)')
    p.add_argument('--size', type=int, default=192, help='of the input, in pixels (default: %(default)s)')
    p.add_argument('--arch', default='tf_efficientnet_lite0')
    return p.parse_args()

def main():
    args = arguments()
    warnings.simplefilter('ignore')
    table = few(split_table(read_table(args.data), valid=0.25), train=args.train, valid=args.valid)
    runs = {}
    for run, found in sweeps(table, args):
        print(run, found.round(4).to_string(index=False), sep='\n', flush=True)
        runs[run] = found
    train = int((table.split == 'train').sum())
    write(runs, dict(arch=args.arch, size=args.size, train=train, copies=args.copies))

if __name__ == '__main__': main()
