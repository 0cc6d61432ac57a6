"""Memory that heads take beside the file of features; write results/heads_memory.csv.

    python benchmarks/heads_memory.py [--sizes 5000 20000 40000 60000]

Each row is a process of its own. It puts synthetic features into a file, and fits and cross-validates a head on them as
`petpoo train` does, one fit a core: a plain head, or the one for an open world. Counted are the anonymous pages at most
(Linux), which are not those of the file that holds the features, above those before, when freed memory has been given
back. `kib_an_image` is the growth from the size before. Each fit keeps its features in memory up to 26,000 images
(`petpoo.train.regression.kept`) and in a temporary file beyond."""
import argparse, json, subprocess, sys, threading, time
from pathlib import Path
import numpy as np
import pandas as pd
from petpoo.core import atomic_path, environment

OUT = Path(__file__).parent.parent/'results'/'heads_memory.csv'
ARCH, FEATURES = 'tf_efficientnet_lite0', 1280

def anonymous():
    "MiB of this process that belong to no file."
    lines = Path('/proc/self/status').read_text().splitlines()
    return int(next(o for o in lines if o.startswith('RssAnon')).split()[1])/1024

def breeds():
    "Breed -> species."
    from petpoo.data.table import CAT_BREEDS, DOG_BREEDS
    return dict.fromkeys(CAT_BREEDS, 'cat') | dict.fromkeys(DOG_BREEDS, 'dog')

def features(y):
    "Features that tell the breeds apart, with noise, in a file."
    from petpoo.data.cache import file_array
    rng, x = np.random.default_rng(0), file_array(len(y), FEATURES)
    centres = rng.normal(size=(y.max() + 1, FEATURES))
    for i in range(0, len(y), 1024):
        own = centres[y[i:i + 1024]]
        x[i:i + 1024] = np.abs(.2*own + .3*rng.normal(size=own.shape))
    return x[:, None]

class Peak:
    "Watches the anonymous memory while a block runs."
    def __enter__(self):
        self.before = self.most = anonymous()
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self
    def watch(self):
        while not self.ended.wait(.02): self.most = max(self.most, anonymous())
    def __exit__(self, *error):
        self.ended.set()
        self.thread.join()

def one(kind, n):
    "Cross-validate a head on n images; prints a row as JSON."
    from petpoo.limits import give_back
    from petpoo.train.pet_regression import PetRegression
    from petpoo.train.plain_regression import PlainRegression
    species = breeds()
    y = np.arange(n) % len(species)
    head = PetRegression(ARCH, species) if kind == 'open world' else PlainRegression(FEATURES, len(species))
    x = features(y)
    give_back()
    began = time.perf_counter()
    with Peak() as peak: head.prepare(x, y)
    seconds = round(time.perf_counter() - began, 1)
    row = dict(head=kind, images=n, before=round(peak.before), most=round(peak.most))
    print(json.dumps(row | dict(seconds=seconds)))

def measure(kind, sizes):
    "Rows of a head, each with the growth since the row before."
    last = None
    for n in sizes:
        command = [sys.executable, '-W', 'ignore', __file__, '--one', kind, str(n)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
        row = json.loads(done.stdout.splitlines()[-1])
        above = row['most'] - row['before']
        kib = round(1024*(above - last[1])/(n - last[0]), 1) if last else ''
        last = n, above
        print(row, kib, 'KiB an image', flush=True)
        yield row | dict(kib_an_image=kib) | environment()

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--sizes', type=int, nargs='+', default=[5000, 20_000, 40_000, 60_000],
                   help='images (default: %(default)s)')
    p.add_argument('--one', nargs=2, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one: return one(args.one[0], int(args.one[1]))
    rows = [row for kind in ('plain', 'open world') for row in measure(kind, args.sizes)]
    with atomic_path(OUT) as path: pd.DataFrame(rows).to_csv(path, index=False)

if __name__ == '__main__': main()
