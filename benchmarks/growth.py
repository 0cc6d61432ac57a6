"""Measure how the cost of the quick recipe grows with the number of images; write results/growth.csv.

    python benchmarks/growth.py [--sizes 1000,4000,16000]

The images are drawn pets, the network is EfficientNet-Lite0 at 128 pixels, so that all sizes together take minutes.
Each size runs in a process of its own with an empty cache, which gives its peak memory."""
import argparse, json, os, resource, subprocess, sys, tempfile, time, warnings
from pathlib import Path
import pandas as pd
from petpoo.core import environment

OUT = Path(__file__).parent.parent/'results'/'growth.csv'

def train(folder, n):
    "Seconds and memory for `n` images."
    from petpoo.data.layouts import oxford_table
    from petpoo.data.table import split_table
    from petpoo.train.features import FeatureCache
    from petpoo.train.heads import HEAD_EPOCHS, HEAD_LR
    from petpoo.train.pipeline import get_dls
    from petpoo.train.training import get_learner
    table = oxford_table(folder).sample(n, random_state=0).reset_index(drop=True)
    learn = get_learner(get_dls(split_table(table), size=128), 'tf_efficientnet_lite0')
    began = time.perf_counter()
    with learn.on_features(), learn.no_bar(), learn.no_logging():
        features = time.perf_counter() - began
        learn.fit_one_cycle(HEAD_EPOCHS, HEAD_LR)
    return dict(
        images=n, features_seconds=features, head_seconds=time.perf_counter() - began - features,
        cache_mb=FeatureCache().size()[1]/2**20, peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024)

def in_process(folder, n, cache):
    "What `train` returns in a process of its own."
    command = [sys.executable, '-W', 'ignore', __file__, '--folder', folder, '--n', str(n)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | dict(PETPOO_CACHE=cache))
    if done.returncode: sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])

def measure(sizes):
    "Draw the pets, and write a row for each size."
    from petpoo.sample.faults import draw_pets
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        draw_pets(f'{tmp}/pets', n=max(sizes), size=128)
        for n in sizes:
            rows.append(dict(in_process(f'{tmp}/pets', n, f'{tmp}/cache-{n}'), **environment()))
            pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.1f')
            print(list(rows[-1].items())[:5], flush=True)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--sizes', default='1000,4000,16000', help='numbers of images (default: %(default)s)')
    p.add_argument('--folder', help=argparse.SUPPRESS)
    p.add_argument('--n', type=int, help=argparse.SUPPRESS)
    return p.parse_args()

def main():
    args = arguments()
    if not args.n: return measure([int(o) for o in args.sizes.split(',')])
    warnings.simplefilter('ignore')
    print(json.dumps(train(args.folder, args.n)))

if __name__ == '__main__': main()
