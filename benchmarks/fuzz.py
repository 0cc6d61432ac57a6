"""Feed damaged image files and bundles to a classifier; write results/fuzz.csv. Exit code 1 if anything but an answer or a `PetpooError` came back.

    python benchmarks/fuzz.py [--images 20000] [--bundles 5000] [--seed 0]

Whole files of every format that Pillow can write are drawn, then cut, bytes changed, parts repeated, removed, swapped or taken from another file. Bundles are damaged in the same way, config.json or model.onnx;
every second one gets checksums that fit, as a forger would do. The cases run in a process of their own, which is watched: one that dies or takes longer than a minute for a case counts as a crash or a hang."""
import argparse, io, json, multiprocessing as mp, shutil, tempfile, time
from collections import Counter
from pathlib import Path
import numpy as np, pandas as pd
from PIL import Image
from petpoo.bundle import toy_bundle
from petpoo.core import PetpooError, atomic_path, environment, sha256
from petpoo.inference import Classifier
from petpoo.sample import draw_pets

OUT = Path(__file__).parent.parent/'results'/'fuzz.csv'
FORMATS = {'jpg': {}, 'progressive.jpg': dict(progressive=True), 'png': {}, 'grey.png': {}, 'alpha.png': {}, 'palette.png': {}, 'gif': {}, 'webp': {}, 'bmp': {}, 'tiff': {}, 'lzw.tiff': dict(compression='tiff_lzw'), 'avif': {}, 'jp2': {}, 'ico': {}, 'ppm': {}, 'tga': {}}
MODES = {'grey': 'L', 'alpha': 'RGBA', 'palette': 'P'}
SECONDS = 60 # for one case

def whole_files(folder):
    "One drawn pet in every format that this Pillow can write: name -> bytes."
    draw_pets(folder, n=2, size=120, seed=0)
    im, files = Image.open(next((Path(folder)/'images').glob('*.jpg'))), {}
    for name, options in FORMATS.items():
        with io.BytesIO() as b:
            try: im.convert(MODES.get(name.split('.')[0], 'RGB')).save(b, Image.registered_extensions()['.' + name.split('.')[-1]], **options)
            except (KeyError, OSError): continue # not in this Pillow
            files[name] = b.getvalue()
    return files

def damaged(raw, other, rng):
    "One to three injuries."
    raw = bytearray(raw)
    for _ in range(rng.integers(1, 4)):
        if len(raw) < 2: break
        a, b = sorted(map(int, rng.integers(0, len(raw), 2)))
        early = int(rng.integers(0, min(len(raw), 64)))
        match rng.integers(0, 9):
            case 0: del raw[a:]
            case 1: raw[a] ^= 1 << int(rng.integers(8))
            case 2: raw[a:a + 4] = rng.integers(0, 256, 4, np.uint8).tobytes()
            case 3: raw[early:early + 4] = rng.choice([b'\xff'*4, b'\0'*4, b'\x7f\xff\xff\xff', b'\0\0\xff\xff', rng.bytes(4)])
            case 4: del raw[a:b]
            case 5: raw[a:a] = raw[a:b]
            case 6: raw[a:b] = other[a:b]
            case 7:
                for i in rng.integers(0, len(raw), max(1, len(raw)//200)): raw[i] = rng.integers(256)
            case 8: raw[early] = rng.integers(256)
    return bytes(raw)

def image_case(i, seed, files, state):
    "Damage one file and ask for an answer, from bytes or from disk."
    rng, names = np.random.default_rng([seed, 0, i]), list(files)
    name, other = names[i % len(names)], names[int(rng.integers(len(names)))]
    raw = damaged(files[name], files[other], rng)
    if i % 2: (state['folder']/f'x.{name}').write_bytes(raw)
    state['classifier'].predict(state['folder']/f'x.{name}' if i % 2 else raw)
    return name

def bundle_case(i, seed, files, state):
    "Damage a bundle and open it."
    rng, folder = np.random.default_rng([seed, 1, i]), state['folder']/'bundle'
    shutil.rmtree(folder, ignore_errors=True); shutil.copytree(state['toy'], folder)
    target = folder/('config.json', 'model.onnx')[i % 2]
    target.write_bytes(damaged(target.read_bytes(), (folder/'model.onnx').read_bytes(), rng))
    if i % 4 > 1: # as a forger would do
        try:
            config = json.loads((folder/'config.json').read_text())
            config['files']['model.onnx'] = dict(sha256=sha256(folder/'model.onnx'), bytes=(folder/'model.onnx').stat().st_size)
            (folder/'config.json').write_text(json.dumps(config))
        except (ValueError, KeyError, TypeError): pass
    Classifier(folder, threads=1).predict(Image.new('RGB', (9, 9)))

def work(case, first, last, seed, files, at, results):
    "Run cases; `at` holds the one that is running and when it began."
    with tempfile.TemporaryDirectory() as tmp:
        toy = toy_bundle(f'{tmp}/toy', abstention=dict(score='it', threshold=0, sure=0.5))
        state = dict(folder=Path(tmp), toy=toy, classifier=Classifier(toy, threads=1))
        counts, wrong = Counter(), []
        for i in range(first, last):
            at[0], at[1] = i, time.time()
            try: case(i, seed, files, state); counts['answered'] += 1
            except PetpooError as e:
                counts['refused'] += 1
                if '\n' in str(e): wrong.append((i, f'several lines: {e!r}'))
            except BaseException as e: counts['other exception'] += 1; wrong.append((i, repr(e)[:200]))
            took = time.time() - at[1]
            counts['slowest'] = max(counts['slowest'], round(1000*took))
    results.put((counts, wrong))
    at[0] = -1

def watched(case, n, seed, files, step=1000):
    "All cases, `step` in a process; a process that dies or hangs is replaced, behind the case that did it."
    total, wrong, first = Counter(), [], 0
    while first < n:
        at, results, last = mp.Array('d', 2), mp.Queue(), min(first + step, n)
        at[0], at[1] = first, time.time()
        p = mp.Process(target=work, args=(case, first, last, seed, files, at, results))
        p.start()
        found = None
        while p.is_alive() and found is None:
            try: found = results.get(timeout=0.5)
            except Exception:
                if at[0] >= 0 and time.time() - at[1] > SECONDS: p.kill(); break
        if found is None and not results.empty(): found = results.get()
        p.join(5)
        if found is None:
            i, how = int(at[0]), 'hung' if p.exitcode == -9 else 'crashed'
            total[how] += 1; total['lost'] += i - first # answered before it, not counted
            wrong.append((i, f'{how}, exit code {p.exitcode}')); first = i + 1
            continue
        total['slowest'] = max(total['slowest'], found[0].pop('slowest'))
        total.update(found[0]); wrong += found[1]; first = last
    return total, wrong

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--images', type=int, default=20_000); p.add_argument('--bundles', type=int, default=5000); p.add_argument('--seed', type=int, default=0)
    args = p.parse_args()
    with tempfile.TemporaryDirectory() as tmp: files = whole_files(f'{tmp}/pets')
    rows, bad = [], []
    for what, case, n in (('images', image_case, args.images), ('bundles', bundle_case, args.bundles)):
        began = time.perf_counter()
        total, wrong = watched(case, n, args.seed, files)
        rows.append(dict(what=what, cases=n, formats=' '.join(files) if what == 'images' else '', **{o: total[o] for o in ('answered', 'refused', 'lost', 'other exception', 'crashed', 'hung')},
            slowest_ms=total['slowest'], seconds=round(time.perf_counter() - began), seed=args.seed, **environment()))
        bad += [(what, *o) for o in wrong]
        print({k: v for k, v in rows[-1].items() if k in ('what', 'cases', 'answered', 'refused', 'lost', 'other exception', 'crashed', 'hung', 'slowest_ms', 'seconds')}, *wrong[:20], sep='\n', flush=True)
    with atomic_path(OUT) as out: pd.DataFrame(rows).to_csv(out, index=False)
    return bool(bad)

if __name__ == '__main__': raise SystemExit(main())
