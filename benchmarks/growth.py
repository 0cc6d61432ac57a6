"""Measure how the cost of whole commands grows with the number of images; write results/growth.csv.

    python benchmarks/growth.py [--sizes 1000 4000 16000 64000] [--commands audit train train_again score]

The images are 64 pixels wide: parts of 500 drawn pets, each cut out, turned and coloured at random, so that all sizes
together take half an hour. The commands are those that a user types, each a process of its own with its children:
`petpoo audit`, `petpoo train` (EfficientNet-Lite0 at 64 pixels) with an empty cache and with a full one, and
`petpoo score`. Memory is that of the largest process. Rows of other sizes and commands are kept."""
import argparse, os, subprocess, tempfile, time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
import numpy as np, pandas as pd
from PIL import Image, ImageEnhance
from petpoo.core import atomic_path, environment
from petpoo.limits import cores

OUT = Path(__file__).parent.parent/'results'/'growth.csv'
DRAWN = 500 # pets

def cut_out(im, rng, size=64):
    "A part of a picture, turned and coloured at random."
    side = rng.uniform(.4, .9)*im.width
    x, y = rng.uniform(0, im.width - side, 2)
    im = im.rotate(rng.uniform(-40, 40), Image.Resampling.BILINEAR, fillcolor=tuple(rng.integers(0, 256, 3).tolist()))
    im = im.resize((size, size), Image.Resampling.BILINEAR, (x, y, x + side, y + side))
    return ImageEnhance.Color(ImageEnhance.Brightness(im).enhance(rng.uniform(.6, 1.4))).enhance(rng.uniform(.3, 2))

def write_part(drawn, folder, numbers):
    "Write images number `numbers`; picture k follows from k alone."
    kept = {o: Image.open(o).convert('RGB') for o in drawn}
    for k in numbers:
        path = drawn[k % len(drawn)]
        cut_out(kept[path], np.random.default_rng(k)).save(folder/f'{path.stem.rsplit("_", 1)[0]}_{k}.jpg', quality=90)

def write_images(folder, n):
    "`n` images in the layout of the Oxford-IIIT Pet set."
    from petpoo.sample.faults import draw_pets
    (folder/'images').mkdir(parents=True)
    with tempfile.TemporaryDirectory() as tmp, ProcessPoolExecutor(cores()) as pool:
        draw_pets(f'{tmp}/drawn', n=DRAWN, size=128)
        drawn = sorted(Path(tmp, 'drawn', 'images').glob('*.jpg'))
        list(pool.map(partial(write_part, drawn, folder/'images'), [range(i, n, cores()) for i in range(cores())]))

def timed(command, cache):
    "Seconds, processor seconds, and MiB of the largest process."
    began = time.perf_counter()
    child = subprocess.Popen(list(map(str, command)), env=os.environ | dict(PETPOO_CACHE=str(cache)),
                             stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    said = child.stderr.read().decode()
    _, status, used = os.wait4(child.pid, 0)
    if status: raise SystemExit(f'{command} failed: {said}')
    return dict(seconds=time.perf_counter() - began, cpu_seconds=used.ru_utime + used.ru_stime, peak_mb=used.ru_maxrss/1024)

def commands(folder, work):
    "Name -> command; each is run after those before it."
    train = ['petpoo', 'train', '--data', folder, '--arch', 'tf_efficientnet_lite0', '--size', '64']
    return dict(audit=['petpoo', 'audit', folder, '--out', work/'audit'],
                train=[*train, '--out', work/'cold'],
                train_again=[*train, '--out', work/'warm'],
                score=['petpoo', 'score', work/'warm', folder, '--out', work/'scores'])

def measure(sizes, names):
    "Write a row for each size and command."
    rows = pd.read_csv(OUT).to_dict('records') if OUT.exists() else []
    for n in sizes:
        with tempfile.TemporaryDirectory() as tmp:
            folder, work = Path(tmp)/'images', Path(tmp)
            write_images(folder, n)
            for name, command in commands(folder, work).items():
                if name not in names: continue
                rows = [o for o in rows if (o['command'], o['images']) != (name, n)]
                rows.append(dict(command=name, images=n, **timed(command, work/'cache'), **environment()))
                print(list(rows[-1].items())[:5], flush=True)
                with atomic_path(OUT) as p:
                    pd.DataFrame(rows).sort_values('images', kind='stable').to_csv(p, index=False, float_format='%.1f')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--sizes', type=int, nargs='+', default=[1000, 4000, 16_000, 64_000], help='default: %(default)s')
    names = [*commands(Path(), Path())]
    p.add_argument('--commands', nargs='+', choices=names, default=names, help='default: all')
    args = p.parse_args()
    measure(args.sizes, args.commands)

if __name__ == '__main__': main()
