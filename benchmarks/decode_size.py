"""Does a network need a photo decoded at twice its input? Write results/decode_size.csv.

    python benchmarks/decode_size.py path/to/oxford-iiit-pet
    python benchmarks/decode_size.py path/to/oxford-iiit-pet --before path/to/an/earlier/petpoo

A JPEG can be decoded at a half, a quarter or an eighth of its size, which is faster. The more pixels are asked for,
the less of that is possible. `accuracy` is that of a linear head on the features of photographs of 320 pixels, decoded
whole and at a half of their size, for learning and for answering: cross-validated over all images, and how many images
are lost and gained against whole photographs in both; at inputs of 160 pixels, which need all that a half has, of 144,
which leave a tenth, and of 130, which are to 160 what 260 are to 320. `decode` reads photographs of 12 megapixels,
collages of 64, at what the audit measures, at what a network of 260 pixels needs, and at twice its input. `--before`
runs `petpoo audit` and `petpoo audit --labels` on 400 of them, cold, by that checkout and by this one in turns."""
import argparse, os, resource, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np
import pandas as pd
from PIL import Image
from scipy.stats import binomtest
from petpoo.core import environment
from petpoo.image import read_image, resize_image, to_input
from petpoo.train.folds import fold_rows
from petpoo.train.plain_regression import Photos, PlainRegression

OUT = Path(__file__).parent.parent/'results'/'decode_size.csv'
ARCH, BIG = 'tf_efficientnet_lite2', (4000, 3000)

# --- accuracy ---

def features(paths, side, least):
    "Features of photographs at an input size, decoded at `least` pixels or more."
    import torch
    from petpoo.train.models import make_body
    from petpoo.train.packaged import packaged_body
    known, body = packaged_body(ARCH), make_body(ARCH)[0].eval()
    def batch(some):
        pixels = [np.asarray(resize_image(read_image(o, at_least=(least, least)), side)) for o in some]
        return torch.from_numpy(np.stack([to_input(o, known['mean'], known['std']) for o in pixels]))
    with torch.inference_mode():
        return np.concatenate([body(batch(paths[i:i+64])).numpy() for i in range(0, len(paths), 64)])

def right(learned, asked, y, parts):
    "Which images a head gets right that learned other images; cross-validated."
    hits = np.zeros(len(y), bool)
    for train, held in parts:
        head = PlainRegression(learned.shape[1], y.max() + 1).fit(Photos(learned[:, None], train), y[train])
        hits[held] = head.answers(asked[held])[0].argmax(1) == y[held]
    return hits

def accuracy(data):
    "Rows for each input size, and for the size at which photographs are decoded for learning and for answering."
    from petpoo.data.layouts import read_table
    table, rows = read_table(data), []
    paths, y = table['path'].tolist(), np.unique(table['label'], return_inverse=True)[1]
    parts = fold_rows(y, np.arange(len(y)), 5, 0)
    for side in (160, 144, 130):
        by = {o: features(paths, side, o) for o in (320, 160)}
        hits = {(a, b): right(by[a], by[b], y, parts) for a in by for b in by}
        for (learned, asked), found in hits.items():
            whole = hits[320, 320]
            lost, gained = int((whole & ~found).sum()), int((found & ~whole).sum())
            rows.append(dict(what='accuracy', side=side, learned=learned, asked=asked, images=len(y), lost=lost,
                             accuracy=found.mean(), gained=gained, p=binomtest(lost, max(lost + gained, 1)).pvalue))
        print(pd.DataFrame(rows[-4:]).to_string(index=False), flush=True)
    return rows

# --- seconds ---

def collages(data, folder, n):
    "Photographs of 12 megapixels, each of 64 smaller ones, in two classes."
    photos, rng = sorted(Path(data).rglob('*.jpg')), np.random.default_rng(0)
    for k in range(n):
        big, (w, h) = Image.new('RGB', BIG), (BIG[0]//8, BIG[1]//8)
        for i, o in enumerate(rng.choice(photos, 64)):
            big.paste(Image.open(o).convert('RGB').resize((w, h)), (i % 8 * w, i//8 * h))
        file = Path(folder)/'ab'[k % 2]/f'{k}.jpg'
        file.parent.mkdir(parents=True, exist_ok=True)
        big.save(file, quality=88)
    return sorted(Path(folder).rglob('*.jpg'))

def seconds(files, turns=5):
    "Milliseconds a photograph in the fastest of some turns, one thread."
    def read(least, file): return read_image(file, at_least=(least, least))
    rows = []
    for least in (256, 320, 520):
        times = []
        for _ in range(turns):
            began = time.perf_counter()
            for o in files: read(least, o)
            times.append((time.perf_counter() - began)/len(files)*1000)
        rows.append(dict(what='decode', decoded=least, images=len(files), ms=min(times)))
        print(rows[-1], flush=True)
    return rows

def command(folder, labels, checkout):
    "Seconds of a whole command, its processor time, and its memory."
    with tempfile.TemporaryDirectory() as tmp:
        env = os.environ | dict(PETPOO_CACHE=f'{tmp}/cache', PYTHONPATH=checkout)
        line = [sys.executable, '-m', 'petpoo', 'audit', str(folder), '--out', f'{tmp}/audit', *['--labels']*labels]
        before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
        subprocess.run(line, env=env, check=True, stdout=subprocess.DEVNULL, cwd=tmp)
        took, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

def commands(folder, n, earlier, turns=3):
    "Rows for both commands and both checkouts, the median of some turns."
    found = {}
    for turn in range(turns):
        for labels in (False, True):
            for which, checkout in (('before', earlier), ('now', str(Path(__file__).parent.parent))):
                found.setdefault((labels, which), []).append(command(folder, labels, checkout))
                print(turn, labels, which, found[labels, which][-1], flush=True)
    return [dict(what='audit --labels' if labels else 'audit', checkout=which, images=n,
                 **dict(zip(('seconds', 'process_seconds'), np.median(o, axis=0))))
            for (labels, which), o in found.items()]

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--before', default='', help='a checkout of an earlier petpoo, for whole commands')
    p.add_argument('--images', type=int, default=400, help='photographs for whole commands (default: %(default)s)')
    args = p.parse_args()
    old = pd.read_csv(OUT) if OUT.exists() else pd.DataFrame(dict(what=[]))
    with tempfile.TemporaryDirectory() as tmp:
        files = collages(args.data, tmp, args.images if args.before else 12)
        if args.before: rows = commands(tmp, len(files), args.before)
        else: rows = accuracy(args.data) + seconds(files)
    rows = pd.DataFrame(rows).assign(**environment())
    pd.concat([old[~old['what'].isin(rows['what'])], rows]).to_csv(OUT, index=False, float_format='%.4g')

if __name__ == '__main__': main()
