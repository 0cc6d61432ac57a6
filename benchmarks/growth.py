"""Measure how time and memory of whole commands grow with the number of images; write results/growth.csv.

    python benchmarks/growth.py [--sizes 1000 4000 16000 64000] [--commands audit train score]

The images are drawn pets of 64 pixels and 37 breeds, each drawn anew. `petpoo audit`, `petpoo train` (EfficientNet-Lite0
at 96 pixels, so that all sizes take minutes) and `petpoo score` with the bundle of that training run one after the other,
each in a process of its own and with an empty cache. `per_thousand` is the seconds that a further thousand images cost
since the size before; it is the same in each row where time is a straight line."""
import argparse, os, subprocess, sys, tempfile, time
from pathlib import Path
import pandas as pd
from petpoo.core import environment

OUT = Path(__file__).parent.parent/'results'/'growth.csv'
MAIN = 'import sys; from petpoo.cli import main; sys.exit(main())'

def command(name, pets, run):
    "The words after `petpoo`."
    if name == 'audit': return ['audit', pets, '--out', f'{run}-audit']
    if name == 'score': return ['score', f'{run}/bundle', f'{pets}/images', '--out', f'{run}-scores']
    return ['train', '--data', pets, '--arch', 'tf_efficientnet_lite0', '--size', '96', '--out', run]

def measured(words, cache):
    "Seconds of a command, and the most memory that it took, its workers apart, in MB."
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, '-c', MAIN, *map(str, words)], stdout=subprocess.DEVNULL,
                             env=os.environ | dict(PETPOO_CACHE=str(cache)))
    _, status, used = os.wait4(child.pid, 0)
    if status: sys.exit(f'petpoo {words[0]} failed')
    return dict(seconds=time.perf_counter() - began, peak_mb=used.ru_maxrss//1024)

def growth(rows, row):
    "Seconds for a further thousand images since the size before."
    before = next((o for o in reversed(rows) if o['command'] == row['command']), None)
    return before and 1000*(row['seconds'] - before['seconds'])/(row['images'] - before['images'])

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--sizes', nargs='+', type=int, default=[1000, 4000, 16000, 64000])
    p.add_argument('--commands', nargs='+', default=['audit', 'train', 'score'], choices=['audit', 'train', 'score'])
    return p.parse_args()

def main():
    from petpoo.sample.faults import draw_pets
    args, rows = arguments(), []
    for n in args.sizes:
        with tempfile.TemporaryDirectory() as tmp:
            draw_pets(f'{tmp}/pets', n=n, size=64)
            for name in args.commands:
                figures = measured(command(name, f'{tmp}/pets', f'{tmp}/run'), f'{tmp}/cache-{name}')
                row = dict(command=name, images=n, **figures)
                rows.append(dict(row, per_thousand=growth(rows, row), **environment()))
                pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.1f')
                print(row, flush=True)

if __name__ == '__main__': main()
