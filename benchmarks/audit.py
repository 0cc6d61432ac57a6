"""Measure the audit and write results/audit_*.csv, cleanvision beside it where it has such a check (pip install cleanvision).

    python benchmarks/audit.py planted                        faults planted in drawn pets, seeds that nothing was tuned on
    python benchmarks/audit.py labels                         wrong labels planted in drawn pets, by out-of-fold probabilities
    python benchmarks/audit.py leaks                          duplicates across a split; properties that give the label away
    python benchmarks/audit.py speed path/to/oxford-iiit-pet  images a second
    python benchmarks/audit.py scale                          1k to 64k drawn images: seconds and peak memory
    python benchmarks/audit.py real path/to/oxford-iiit-pet   what is found in real photographs

Everything is drawn into a temporary folder with a cache of its own."""
import argparse, contextlib, io, os, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np
import pandas as pd
from PIL import Image
from petpoo.data.audit import audit
from petpoo.data.labels import suspect_labels
from petpoo.data.measures import measure_images
from petpoo.core import environment
from petpoo.data.layouts import oxford_table, read_table
from petpoo.data.table import split_table
from petpoo.sample.faults import draw_pets

RESULTS = Path(__file__).parent.parent/'results'
SEEDS = (7021, 7022, 7023)
FAULTS = dict(exact_duplicate=60, near_duplicate=120, corrupt=20, truncated=20, empty=10, dark=60, blurred=60, overexposed=60, exif_rotated=40, odd_size=60)
UNREADABLE = ('corrupt', 'truncated', 'empty')
KINDS = { # ours -> planted faults, cleanvision's columns
    'unreadable': (UNREADABLE, []), 'dark': (['dark'], ['dark']), 'over_exposed': (['overexposed'], ['light']), 'blurred': (['blurred'], ['blurry']),
    'odd_size': (['odd_size'], ['odd_size', 'odd_aspect_ratio']), 'exif_rotated': (['exif_rotated'], []),
    'exact_duplicate': (['exact_duplicate'], ['exact_duplicates']), 'near_duplicate': (['near_duplicate'], ['near_duplicates'])}
PACKAGES = ('petpoo', 'numpy', 'pandas', 'pillow', 'scipy', 'scikit-learn', 'cleanlab', 'cleanvision', 'imagehash')

def save(name, rows):
    table = pd.DataFrame(rows).assign(**environment(PACKAGES))
    table.to_csv(RESULTS/f'audit_{name}.csv', index=False, float_format='%.4f')
    print(pd.DataFrame(rows).to_string(), flush=True)

def cleanvision(paths):
    "Its default scan."
    from cleanvision import Imagelab
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        lab = Imagelab(filepaths=list(paths))
        lab.find_issues()
    return lab

# --- planted faults ---

def count(tool, kind, flagged, planted, clean):
    "Images flagged, against the images of planted faults."
    hit, false = len(flagged & planted), len(flagged & clean)
    return dict(tool=tool, kind=kind, planted=len(planted), found=hit, false_alarms=len(flagged - planted), clean=len(clean), clean_accused=false)

def twins(tool, kind, pairs, truth, fault, clean):
    "Pairs flagged, against planted pairs; a pair is two paths."
    here = str(Path(truth.path.iloc[0]).parent)
    planted = {frozenset([o.path, f'{here}/{o.partner}.jpg']) for o in truth[truth.fault == fault].itertuples()}
    accused = {p for pair in pairs - planted for p in pair} & clean
    return dict(tool=tool, kind=kind, planted=len(planted), found=len(pairs & planted), false_alarms=len(pairs - planted), clean=len(clean), clean_accused=len(accused))

def sets(lab, name): return {frozenset([a, b]) for s in lab.info[name]['sets'] for i, a in enumerate(s) for b in s[i+1:]}

def one_set(seed, here):
    truth = draw_pets(here, n=1480, seed=seed, faults=FAULTS)
    found = audit(oxford_table(here)).issues
    lab = cleanvision(truth.path[~truth.fault.isin(UNREADABLE)]) # it stops with an error at the first truncated file
    clean = set(truth.path[(truth.fault == '') & ~truth.name.isin(truth.partner)])
    for kind, (faults, theirs) in KINDS.items():
        if 'duplicate' in kind:
            rows = found[found.kind == kind]
            yield twins('petpoo', kind, set(map(frozenset, zip(rows.path, rows.partner))), truth, faults[0], clean)
            yield twins('cleanvision', kind, sets(lab, theirs[0]), truth, faults[0], clean)
            continue
        planted = set(truth.path[truth.fault.isin(faults)])
        yield count('petpoo', kind, set(found.path[found.kind == kind]), planted, clean)
        if theirs: yield count('cleanvision', kind, set(lab.issues.index[lab.issues[[f'is_{o}_issue' for o in theirs]].any(axis=1)]), planted, clean)

def planted(tmp):
    rows = pd.DataFrame([o for seed in SEEDS for o in one_set(seed, tmp/str(seed))])
    total = rows.groupby(['kind', 'tool'], sort=False).sum().reset_index()
    save('planted', total.assign(recall=total.found/total.planted, precision=total.found/(total.found+total.false_alarms), accused=total.clean_accused/total.clean))

# --- wrong labels ---

def probabilities(table, arch='tf_efficientnet_lite0', size=224):
    "Out-of-fold probabilities of a head on pretrained features, as a predictions table."
    from petpoo.train.heads import out_of_fold
    from petpoo.train.pipeline import get_dls
    from petpoo.train.training import get_learner
    learn = get_learner(get_dls(split_table(table), size=size), arch)
    probs = out_of_fold(learn)
    return pd.DataFrame(probs, columns=['p_'+o for o in learn.dls.spec.classes]).assign(path=learn.dls.table['path'].to_numpy())

def labels(tmp):
    rows = []
    for seed in SEEDS:
        truth = draw_pets(tmp/str(seed), n=2220, seed=seed, faults=dict(wrong_label=110))
        table = oxford_table(tmp/str(seed))
        probs = probabilities(table)
        suspects = suspect_labels(table, probs)
        wrong = table.path.isin(truth.path[truth.fault == 'wrong_label'])
        right = table.path.map(truth.set_index('path').true_breed) == suspects.predicted
        top = suspects.score.nlargest(int(wrong.sum())).index
        flagged = suspects[suspects.suspect].sort_values('score', ascending=False).index
        rows.append(dict(seed=seed, images=len(table), planted=int(wrong.sum()), found_among_as_many=int(wrong[top].sum()), share=wrong[top].mean(),
                         flagged=len(flagged), found_flagged=int(wrong[flagged].sum()), recall_flagged=wrong[flagged].sum()/wrong.sum(), precision_flagged=wrong[flagged].mean(), accuracy_of_the_head=right.mean()))
        print(rows[-1], flush=True)
    save('labels', rows)

# --- leaks ---

def _edit(path, f, **save): (lambda im: f(im).save(path, quality=90, **save))(Image.open(path).convert('RGB'))

GIVEAWAYS = dict( # property -> what is done to the dogs
    brightness=lambda p, rng: _edit(p, lambda im: im.point(lambda v: min(255, int(v*.7 + 75)))),
    size=lambda p, rng: _edit(p, lambda im: im.resize((int(im.width*rng.uniform(1.05, 1.3)),)*2)),
    aspect=lambda p, rng: _edit(p, lambda im: im.resize((im.width, int(im.height*rng.uniform(.75, .9))))),
    bytes=lambda p, rng: Image.open(p).convert('RGB').save(p, quality=60),
    format=lambda p, rng: Image.open(p).save(p, 'PNG'))

def leaks(tmp):
    rows = []
    for seed in SEEDS:
        truth = draw_pets(tmp/f'twins {seed}', n=740, size=128, seed=seed, faults=dict(exact_duplicate=60, near_duplicate=60))
        table = split_table(oxford_table(tmp/f'twins {seed}'), valid=.3, test=.2)
        side, here = dict(zip(table.path, table.split)), str(Path(truth.path.iloc[0]).parent)
        planted = {frozenset(o) for o in zip(truth.path, here + '/' + truth.partner + '.jpg') if o[1] in side and side[o[0]] != side[o[1]]}
        found = audit(table).issues.query('kind == "split_leak"')
        pairs = set(map(frozenset, zip(found.path, found.partner)))
        rows.append(dict(seed=seed, leak='split_leak', planted=len(planted), found=len(planted & pairs), false_alarms=len(pairs - planted), skill=np.nan))
        for name in [None, 'greenness', *GIVEAWAYS]:
            folder = tmp/f'{name} {seed}'
            draw_pets(folder, n=740, size=128, seed=seed, grass=.7 if name == 'greenness' else 0)
            table, rng = oxford_table(folder), np.random.default_rng(seed)
            if name in GIVEAWAYS:
                for p in table.path[table.species == 'dog']: GIVEAWAYS[name](p, rng)
            found = audit(table)
            given = found.shortcut_features.query('target == "species"').set_index('property').skill
            told = set(found.issues.verdict[(found.issues.kind == "shortcut")].str.split().str[0])
            related = dict(brightness={'colourfulness', 'bytes'}, size={'bytes', 'aspect'}, aspect={'size', 'bytes'}, format={'bytes'}, greenness={'colourfulness', 'brightness', 'bytes'}).get(name, set())
            rows.append(dict(seed=seed, leak=name or 'none', planted=int(name is not None), found=int(name in told), false_alarms=len(told - {name} - related), skill=given[name] if name else given.max()))
    save('leaks', rows)

# --- speed ---

def timed(f):
    began = time.perf_counter()
    f()
    return time.perf_counter() - began

def speed(tmp, data):
    table, rows = read_table(data), []
    measure_images(table.path.tolist()[:64]) # the files' libraries are loaded and the disk is warm for both
    for p in table.path: Path(p).read_bytes()
    for k in range(3):
        os.environ['PETPOO_CACHE'] = str(tmp/f'cache {k}')
        for tool, f in dict(cleanvision=lambda: cleanvision(table.path), petpoo=lambda: audit(table), petpoo_again=lambda: audit(table)).items():
            seconds = timed(f)
            rows.append(dict(round=k, tool=tool, images=len(table), seconds=seconds, images_a_second=len(table)/seconds))
            print(rows[-1], flush=True)
    save('speed', rows)

def _scale_one(folders, n):
    "In a process of its own, for its peak memory."
    table = pd.concat([oxford_table(o) for o in folders], ignore_index=True).iloc[:n]
    began = time.perf_counter()
    measures, minis = measure_images(table.path.tolist())
    read = time.perf_counter() - began
    from petpoo.data.duplicates import find_twins
    began = time.perf_counter()
    pairs = find_twins(measures, minis)
    search = time.perf_counter() - began
    found = timed(lambda: audit(table))
    accused = len(set(pairs.i) | set(pairs.j))
    peak = int(next(o for o in Path('/proc/self/status').read_text().splitlines() if o.startswith('VmHWM')).split()[1])/1024 # getrusage would count the parent's
    print(f'{len(table)},{read},{search},{found - search},{len(pairs)},{accused},{peak}')

def scale(tmp, sizes=(1024, 4096, 16384, 65536)):
    rows, folders = [], []
    for k, n in enumerate(np.diff([0, *sizes])):
        folders.append(str(tmp/f'part {k}'))
        draw_pets(folders[-1], n=int(n), size=64, seed=7100+k)
    for k, n in enumerate(sizes):
        env = os.environ | dict(PETPOO_CACHE=str(tmp/f'cache of {n}'))
        out = subprocess.run([sys.executable, __file__, '_scale', ','.join(folders[:k+1]), str(n)], env=env, capture_output=True, text=True, check=True).stdout
        names = 'images read_seconds search_seconds other_seconds pairs accused peak_mb'.split()
        rows.append({a: float(b) for a, b in zip(names, out.strip().splitlines()[-1].split(','))} | dict(side=64))
        rows[-1]['microseconds_an_image'] = 1e6*(rows[-1]['read_seconds'] + rows[-1]['search_seconds'] + rows[-1]['other_seconds'])/rows[-1]['images']
        print(rows[-1], flush=True)
    save('scale', rows)

# --- real photographs ---

def real(tmp, data, arch='tf_efficientnet_lite2', size=260):
    table = read_table(data)
    grouped = audit(table).table
    found = audit(table, probabilities(grouped, arch, size))
    print(found); print(found.shortcut_features.to_string())
    issues = found.issues.assign(path=found.issues.path.map(os.path.basename), partner=found.issues.partner.map(os.path.basename))
    issues.to_csv(RESULTS/'audit_real.csv', index=False, float_format='%.4f')
    found.shortcut_features.to_csv(RESULTS/'audit_real_giveaways.csv', index=False, float_format='%.4f')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=['planted', 'labels', 'leaks', 'speed', 'scale', 'real', '_scale']); p.add_argument('args', nargs='*')
    args = p.parse_args()
    if args.what == '_scale': return _scale_one(args.args[0].split(','), int(args.args[1]))
    with tempfile.TemporaryDirectory() as tmp:
        os.environ['PETPOO_CACHE'] = f'{tmp}/cache'
        globals()[args.what](Path(tmp), *args.args)

if __name__ == '__main__': main()
