"""How the quick recipe's cost grows with the number of images: 1,000, 4,000 and 16,000 drawn ones; write results/growth.csv.

    python benchmarks/growth.py [--sizes 1000,4000,16000]

Each number is a process of its own with an empty cache, so that its peak memory is its own. The network is EfficientNet-Lite0 at 128 pixels, to be done in minutes."""
import argparse, json, os, resource, subprocess, sys, tempfile, time, warnings
from pathlib import Path
import pandas as pd
from petpoo.core import environment

OUT = Path(__file__).parent.parent/'results'/'growth.csv'

def train(folder, n):
    from petpoo.data.layouts import oxford_table
    from petpoo.data.table import split_table
    from petpoo.train.features import FeatureCache
    from petpoo.train.phases import head_learner, quick
    from petpoo.train.pipeline import get_dls
    from petpoo.train.phases import fit
    from petpoo.train.training import get_learner
    table = oxford_table(folder).sample(n, random_state=0).reset_index(drop=True)
    learn = get_learner(get_dls(split_table(table), size=128), 'tf_efficientnet_lite0')
    began = time.perf_counter()
    head = head_learner(learn)
    features = time.perf_counter() - began
    with head.no_bar(), head.no_logging(): fit(head, quick())
    return dict(images=n, features_seconds=features, head_seconds=time.perf_counter() - began - features, cache_mb=FeatureCache().size()[1]/2**20,
                peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--sizes', default='1000,4000,16000'); p.add_argument('--folder'); p.add_argument('--n', type=int)
    args = p.parse_args()
    if args.n:
        warnings.simplefilter('ignore')
        return print(json.dumps(train(args.folder, args.n)))
    from petpoo.sample.faults import draw_pets
    sizes, rows = [int(o) for o in args.sizes.split(',')], []
    with tempfile.TemporaryDirectory() as tmp:
        draw_pets(f'{tmp}/pets', n=max(sizes), size=128)
        for n in sizes:
            env = os.environ | dict(PETPOO_CACHE=f'{tmp}/cache-{n}')
            done = subprocess.run([sys.executable, '-W', 'ignore', __file__, '--folder', f'{tmp}/pets', '--n', str(n)], capture_output=True, text=True, env=env)
            if done.returncode: sys.exit(done.stderr)
            rows.append(dict(json.loads(done.stdout.splitlines()[-1]), **environment()))
            pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.1f')
            print(list(rows[-1].items())[:5], flush=True)

if __name__ == '__main__': main()
