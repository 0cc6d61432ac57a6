"""Measure the audit, and cleanvision where it has such a check (pip install cleanvision); write results/audit_*.csv.

    python benchmarks/audit.py planted                        faults planted in drawn pets
    python benchmarks/audit.py labels                         wrong labels planted in drawn pets
    python benchmarks/audit.py leaks                          duplicates across a split; shortcut features
    python benchmarks/audit.py speed path/to/oxford-iiit-pet  images a second
    python benchmarks/audit.py scale                          1k to 64k drawn images: seconds and peak memory
    python benchmarks/audit.py real path/to/oxford-iiit-pet   what is found in real photographs

No limit of the audit was chosen on these seeds. Wrong labels are found by out-of-fold probabilities. Everything is
drawn into a temporary folder with a cache of its own."""
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
FAULTS = dict(
    exact_duplicate=60, near_duplicate=120, corrupt=20, truncated=20, empty=10, dark=60, blurred=60, overexposed=60,
    exif_rotated=40, odd_size=60)
UNREADABLE = ('corrupt', 'truncated', 'empty')
KINDS = { # petpoo's kind -> planted faults, cleanvision's columns
    'unreadable': (UNREADABLE, []),
    'dark': (['dark'], ['dark']),
    'over_exposed': (['overexposed'], ['light']),
    'blurred': (['blurred'], ['blurry']),
    'odd_size': (['odd_size'], ['odd_size', 'odd_aspect_ratio']),
    'exif_rotated': (['exif_rotated'], [])}
TWINS = dict(exact_duplicate='exact_duplicates', near_duplicate='near_duplicates') # petpoo's kind -> cleanvision's
PACKAGES = ('petpoo', 'numpy', 'pandas', 'pillow', 'scipy', 'scikit-learn', 'cleanlab', 'cleanvision', 'imagehash')

def save(name, rows):
    "Write and print a table."
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
    "Images flagged, compared with the images of planted faults."
    return dict(
        tool=tool, kind=kind, planted=len(planted), found=len(flagged & planted), false_alarms=len(flagged - planted),
        clean=len(clean), clean_accused=len(flagged & clean))

def twins(tool, kind, pairs, truth, clean):
    "Pairs flagged, compared with planted pairs; a pair is two paths."
    here = str(Path(truth.path.iloc[0]).parent)
    planted = {frozenset([o.path, f'{here}/{o.partner}.jpg']) for o in truth[truth.fault == kind].itertuples()}
    accused = {p for pair in pairs - planted for p in pair} & clean
    return dict(
        tool=tool, kind=kind, planted=len(planted), found=len(pairs & planted), false_alarms=len(pairs - planted),
        clean=len(clean), clean_accused=len(accused))

def pairs_of(issues): return set(map(frozenset, zip(issues.path, issues.partner)))

def pairs_of_sets(lab, name):
    "Pairs within cleanvision's sets of duplicates."
    return {frozenset([a, b]) for s in lab.info[name]['sets'] for i, a in enumerate(s) for b in s[i+1:]}

def flagged_by(lab, columns):
    "Images that cleanvision flags for one of these."
    return set(lab.issues.index[lab.issues[[f'is_{o}_issue' for o in columns]].any(axis=1)])

def one_set(seed, here):
    "Rows for each kind and tool."
    truth = draw_pets(here, n=1480, seed=seed, faults=FAULTS)
    found = audit(oxford_table(here)).issues
    lab = cleanvision(truth.path[~truth.fault.isin(UNREADABLE)]) # it stops with an error at the first truncated file
    clean = set(truth.path[(truth.fault == '') & ~truth.name.isin(truth.partner)])
    for kind, (faults, columns) in KINDS.items():
        planted = set(truth.path[truth.fault.isin(faults)])
        yield count('petpoo', kind, set(found.path[found.kind == kind]), planted, clean)
        if columns: yield count('cleanvision', kind, flagged_by(lab, columns), planted, clean)
    for kind, theirs in TWINS.items():
        yield twins('petpoo', kind, pairs_of(found[found.kind == kind]), truth, clean)
        yield twins('cleanvision', kind, pairs_of_sets(lab, theirs), truth, clean)

def planted(tmp):
    "Faults planted in drawn pets."
    rows = pd.DataFrame([o for seed in SEEDS for o in one_set(seed, tmp/str(seed))])
    total = rows.groupby(['kind', 'tool'], sort=False).sum().reset_index()
    save('planted', total.assign(
        recall=total.found/total.planted, precision=total.found/(total.found + total.false_alarms),
        accused=total.clean_accused/total.clean))

# --- wrong labels ---

def probabilities(table, arch='tf_efficientnet_lite0', size=224):
    "Out-of-fold probabilities as `petpoo audit --labels` has them, as a predictions table."
    from petpoo.classify.calibration import calibrated_out_of_fold
    from petpoo.train.features import get_features
    from petpoo.train.folds import group_numbers
    from petpoo.train.plain_regression import cross_predict
    from petpoo.train.heads import label_codes
    from petpoo.train.pipeline import get_dls
    from petpoo.train.training import get_learner
    learn = get_learner(get_dls(split_table(table), size=size), arch)
    table = learn.dls.table
    logits = cross_predict(get_features(learn, table['path'])[:, 0], table['label'], group_numbers(table))
    probs = calibrated_out_of_fold(logits, label_codes(learn))
    columns = [f'p_{o}' for o in learn.dls.spec.classes]
    return pd.DataFrame(probs, columns=columns).assign(path=table['path'].to_numpy())

def labels_of(seed, folder):
    "A row for one drawn set."
    truth = draw_pets(folder, n=2220, seed=seed, faults=dict(wrong_label=110))
    table = oxford_table(folder)
    suspects = suspect_labels(table, probabilities(table))
    wrong = table.path.isin(truth.path[truth.fault == 'wrong_label'])
    right = table.path.map(truth.set_index('path').true_breed) == suspects.predicted
    top = suspects.score.nlargest(int(wrong.sum())).index
    flagged = suspects[suspects.suspect].sort_values('score', ascending=False).index
    return dict(
        seed=seed, images=len(table), planted=int(wrong.sum()), found_among_as_many=int(wrong[top].sum()),
        share=wrong[top].mean(), flagged=len(flagged), found_flagged=int(wrong[flagged].sum()),
        recall_flagged=wrong[flagged].sum()/wrong.sum(), precision_flagged=wrong[flagged].mean(),
        accuracy_of_the_head=right.mean())

def labels(tmp):
    "Wrong labels planted in drawn pets."
    rows = []
    for seed in SEEDS:
        rows.append(labels_of(seed, tmp/str(seed)))
        print(rows[-1], flush=True)
    save('labels', rows)

# --- leaks ---

def edit(path, f):
    "Write the picture again, changed by `f`."
    with Image.open(path) as im: changed = f(im.convert('RGB'))
    changed.save(path, quality=90)

def brighten(path, rng): edit(path, lambda im: im.point(lambda v: min(255, int(v*.7 + 75))))
def enlarge(path, rng): edit(path, lambda im: im.resize((int(im.width*rng.uniform(1.05, 1.3)),)*2))
def flatten(path, rng): edit(path, lambda im: im.resize((im.width, int(im.height*rng.uniform(.75, .9)))))
def compress(path, rng): Image.open(path).convert('RGB').save(path, quality=60)
def to_png(path, rng): Image.open(path).save(path, 'PNG')

SHORTCUTS = dict( # property -> what is done to the dogs
    brightness=brighten, size=enlarge, aspect=flatten, bytes=compress, format=to_png)
RELATED = dict( # property -> others that it moves
    brightness={'colourfulness', 'bytes'}, size={'bytes', 'aspect'}, aspect={'size', 'bytes'}, format={'bytes'},
    greenness={'colourfulness', 'brightness', 'bytes'})

def split_leaks(seed, folder):
    "A row for duplicates across a split."
    faults = dict(exact_duplicate=60, near_duplicate=60)
    truth = draw_pets(folder, n=740, size=128, seed=seed, faults=faults)
    table = split_table(oxford_table(folder), valid=.3, test=.2)
    side, here = dict(zip(table.path, table.split)), str(Path(truth.path.iloc[0]).parent)
    both = [(a, b) for a, b in zip(truth.path, here + '/' + truth.partner + '.jpg') if b in side]
    planted = {frozenset([a, b]) for a, b in both if side[a] != side[b]}
    pairs = pairs_of(audit(table).issues.query('kind == "split_leak"'))
    return dict(
        seed=seed, leak='split_leak', planted=len(planted), found=len(planted & pairs),
        false_alarms=len(pairs - planted), skill=np.nan)

def shortcut(seed, name, folder):
    "A row for a property that gives the label away; None for no such property."
    draw_pets(folder, n=740, size=128, seed=seed, grass=.7 if name == 'greenness' else 0)
    table, rng = oxford_table(folder), np.random.default_rng(seed)
    if name in SHORTCUTS:
        for path in table.path[table.species == 'dog']: SHORTCUTS[name](path, rng)
    found = audit(table)
    skill = found.shortcut_features.query('target == "species"').set_index('property').skill
    named = set(found.issues.verdict[found.issues.kind == 'shortcut'].str.split().str[0])
    return dict(
        seed=seed, leak=name or 'none', planted=int(name is not None), found=int(name in named),
        false_alarms=len(named - {name} - RELATED.get(name, set())), skill=skill[name] if name else skill.max())

def leaks(tmp):
    "Duplicates across a split, and properties that give the label away."
    rows = []
    for seed in SEEDS:
        rows.append(split_leaks(seed, tmp/f'twins {seed}'))
        rows += [shortcut(seed, name, tmp/f'{name} {seed}') for name in [None, 'greenness', *SHORTCUTS]]
    save('leaks', rows)

# --- speed ---

def timed(f, *args):
    "Seconds."
    began = time.perf_counter()
    f(*args)
    return time.perf_counter() - began

def speed(tmp, data):
    "Images a second, with a cold and a warm cache."
    table, rows = read_table(data), []
    measure_images(table.path.tolist()[:64]) # libraries are loaded, and the disk is warm for both
    for p in table.path: Path(p).read_bytes()
    jobs = [('cleanvision', cleanvision, table.path), ('petpoo', audit, table), ('petpoo_again', audit, table)]
    for k in range(3):
        os.environ['PETPOO_CACHE'] = str(tmp/f'cache {k}')
        for tool, f, images in jobs:
            seconds = timed(f, images)
            rows.append(dict(
                round=k, tool=tool, images=len(table), seconds=seconds, images_a_second=len(table)/seconds))
            print(rows[-1], flush=True)
    save('speed', rows)

SCALE = 'images', 'read_seconds', 'search_seconds', 'other_seconds', 'pairs', 'accused', 'peak_mb'

def peak():
    "Peak memory in MiB; getrusage would count the parent's."
    status = Path('/proc/self/status').read_text().splitlines()
    return int(next(o for o in status if o.startswith('VmHWM')).split()[1])/1024

def _scale(tmp, folders, n):
    "Print the figures of `SCALE`; in a process of its own, for its peak memory."
    from petpoo.data.duplicates import find_twins
    table = pd.concat([oxford_table(o) for o in folders.split(',')], ignore_index=True).iloc[:int(n)]
    began = time.perf_counter()
    measures, minis = measure_images(table.path.tolist())
    read = time.perf_counter() - began
    began = time.perf_counter()
    pairs = find_twins(measures, minis)
    search = time.perf_counter() - began
    whole = timed(audit, table)
    accused = len(set(pairs.i) | set(pairs.j))
    print(len(table), read, search, whole - search, len(pairs), accused, peak(), sep=',')

def scale_of(folders, n, cache):
    "A row for `n` images."
    command = [sys.executable, __file__, '_scale', ','.join(folders), str(n)]
    env = os.environ | dict(PETPOO_CACHE=str(cache))
    out = subprocess.run(command, env=env, capture_output=True, text=True, check=True).stdout
    row = dict(zip(SCALE, map(float, out.strip().splitlines()[-1].split(','))))
    seconds = row['read_seconds'] + row['search_seconds'] + row['other_seconds']
    return row | dict(side=64, microseconds_an_image=1e6*seconds/row['images'])

def scale(tmp, sizes=(1024, 4096, 16384, 65536)):
    "Seconds and memory for more and more images."
    rows, folders = [], []
    for k, n in enumerate(np.diff([0, *sizes])):
        folders.append(str(tmp/f'part {k}'))
        draw_pets(folders[-1], n=int(n), size=64, seed=7100+k)
    for k, n in enumerate(sizes):
        rows.append(scale_of(folders[:k+1], n, tmp/f'cache of {n}'))
        print(rows[-1], flush=True)
    save('scale', rows)

# --- real photographs ---

def real(tmp, data, arch='tf_efficientnet_lite2', size=260):
    "What is found in real photographs."
    table = read_table(data)
    grouped = audit(table).table
    found = audit(table, probabilities(grouped, arch, size))
    print(found)
    print(found.shortcut_features.to_string())
    names = {o: found.issues[o].map(os.path.basename) for o in ('path', 'partner')}
    found.issues.assign(**names).to_csv(RESULTS/'audit_real.csv', index=False, float_format='%.4f')
    found.shortcut_features.to_csv(RESULTS/'audit_real_giveaways.csv', index=False, float_format='%.4f')

MEASUREMENTS = {o.__name__: o for o in (planted, labels, leaks, speed, scale, real, _scale)}

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('what', choices=MEASUREMENTS, metavar='WHAT', help='one of the above')
    p.add_argument('args', nargs='*', metavar='PHOTOGRAPHS', help='their folder, for speed and real')
    return p.parse_args()

def main():
    args = arguments()
    if args.what == '_scale': return _scale(None, *args.args)
    with tempfile.TemporaryDirectory() as tmp:
        os.environ['PETPOO_CACHE'] = f'{tmp}/cache'
        MEASUREMENTS[args.what](Path(tmp), *args.args)

if __name__ == '__main__': main()
