"""Memory that heads take beside the file of features; write results/heads_memory.csv.

    python benchmarks/heads_memory.py [--sizes 5000 20000]

Each row is a process of its own. It puts synthetic features of tiny pictures into a new feature cache, and
cross-validates a head on them as `petpoo train` does: a plain head, or the one for an open world. Counted are the
anonymous pages at most (Linux), which are not those of the file that holds the features, above those before, when freed
memory has been given back. `kib_an_image` is the growth from the size before."""
import argparse, json, os, subprocess, sys, tempfile, threading, time
from pathlib import Path
import numpy as np
import pandas as pd
from PIL import Image
from petpoo.core import atomic_path, environment

OUT = Path(__file__).parent.parent/'results'/'heads_memory.csv'
ARCH, FEATURES = 'tf_efficientnet_lite0', 1280

def anonymous():
    "MiB of this process that belong to no file."
    lines = Path('/proc/self/status').read_text().splitlines()
    return int(next(o for o in lines if o.startswith('RssAnon')).split()[1])/1024

def photos(folder, n):
    "A table of n tiny pictures that all differ, of 37 breeds."
    from petpoo.data.table import CAT_BREEDS, DOG_BREEDS
    breeds = [*((o, 'cat') for o in CAT_BREEDS), *((o, 'dog') for o in DOG_BREEDS)]
    rows = []
    for i in range(n):
        pixels = np.frombuffer(i.to_bytes(4, 'little')*48, np.uint8).reshape(8, 8, 3)
        Image.fromarray(pixels).save(folder/f'{i}.png')
        label, species = breeds[i % len(breeds)]
        rows.append((str(folder/f'{i}.png'), label, species, 'train' if i % 5 else 'valid', ''))
    return pd.DataFrame(rows, columns=['path', 'label', 'species', 'split', 'group'])

def fill_cache(learn, table):
    "Put features into the cache that tell the breeds apart, with noise."
    from petpoo.data.cache import contents
    from petpoo.train.features import FeatureCache, body_key, feature_key
    rng, body, cache = np.random.default_rng(0), body_key(learn), FeatureCache()
    centres = dict(zip(sorted({*table.label}), rng.normal(size=(len({*table.label}), FEATURES))))
    for i in range(0, len(table), 1024):
        some = table.iloc[i:i + 1024]
        x = np.abs(.2*np.stack([centres[o] for o in some.label]) + .3*rng.normal(size=(len(some), FEATURES)))
        cache.put({feature_key(o, body): v.astype(np.float16) for o, v in zip(contents(some.path), x)})

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
    import torch
    from petpoo.core import give_back
    from petpoo.train.pethead import pet_learner
    from petpoo.train.pipeline import get_dls
    from petpoo.train.training import get_learner
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as tmp:
        os.environ['PETPOO_CACHE'] = f'{tmp}/cache'
        (Path(tmp)/'photos').mkdir()
        table = photos(Path(tmp)/'photos', n)
        learn = (pet_learner if kind == 'open world' else get_learner)(get_dls(table, size=64), ARCH)
        fill_cache(learn, table)
        give_back()
        began = time.perf_counter()
        with Peak() as peak: learn.cross_validate()
        seconds = time.perf_counter() - began
    row = dict(head=kind, images=n, before=round(peak.before), most=round(peak.most), seconds=round(seconds))
    print(json.dumps(row))

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
    p.add_argument('--sizes', type=int, nargs='+', default=[5000, 20_000], help='images (default: %(default)s)')
    p.add_argument('--one', nargs=2, help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.one: return one(args.one[0], int(args.one[1]))
    rows = [row for kind in ('plain', 'open world') for row in measure(kind, args.sizes)]
    with atomic_path(OUT) as path: pd.DataFrame(rows).to_csv(path, index=False)

if __name__ == '__main__': main()
