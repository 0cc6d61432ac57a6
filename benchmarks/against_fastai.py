"""`petpoo train`'s quick recipe beside what a fastai user does today, same network and photographs; write results/against_fastai.csv.

    python benchmarks/against_fastai.py path/to/oxford-iiit-pet [--slice 500]

fastai: `vision_learner`, one frozen and one unfrozen epoch, on a slice of the training images; its time is extrapolated to all of them. petpoo: everything, cold cache,
then warm; and the slice alone, so that both classifiers are compared after the same images. Each job is a process of its own, one after the other, which also gives its peak memory."""
import argparse, json, os, resource, subprocess, sys, tempfile, time, warnings
from pathlib import Path
import pandas as pd
from petpoo.core import environment

OUT = Path(__file__).parent.parent/'results'/'against_fastai.csv'
ARCH, SIZE = 'tf_efficientnet_lite2', 260

def photographs(data, part):
    "The table with a seeded fifth held out; `part` training images, or all for 0."
    from petpoo.data.layouts import read_table
    from petpoo.data.table import split_table
    table = split_table(read_table(data), seed=42)
    train = table[table.split == 'train']
    if part: train = train.sample(part, random_state=42)
    return pd.concat([train, table[table.split == 'valid']], ignore_index=True)

def fastai(data, part):
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, ResizeMethod, accuracy, vision_learner
    from petpoo.train.models import _load_packaged
    table = photographs(data, part)
    dls = ImageDataLoaders.from_df(table.assign(held=table.split == 'valid')[['path', 'label', 'held']], path='/', valid_col='held', item_tfms=Resize(SIZE, ResizeMethod.Squish), bs=64, num_workers=0)
    learn = vision_learner(dls, ARCH, pretrained=False, metrics=accuracy)
    _load_packaged(learn.model[0].model, ARCH)
    learn.freeze()
    learn.dls.add_tfms([Normalize.from_stats((0.5,)*3, (0.5,)*3)], 'after_batch')
    seconds, validation = [], 0
    with learn.no_bar():
        for prepare in (learn.freeze, learn.unfreeze):
            prepare()
            began = time.perf_counter()
            learn.fit_one_cycle(1, 2e-3)
            seconds.append(time.perf_counter() - began)
        began = time.perf_counter()
        right = learn.validate()[1]
        validation = time.perf_counter() - began
    n, n_all = (table.split == 'train').sum(), (photographs(data, 0).split == 'train').sum()
    frozen, unfrozen = (o - validation for o in seconds)
    return dict(train_images=int(n), seconds=sum(seconds), frozen_per_second=n/frozen, unfrozen_per_second=n/unfrozen,
                seconds_for_all=(frozen + unfrozen)*n_all/n + 2*validation, accuracy=float(right))

def petpoo(data, part):
    from petpoo.train.phases import head_learner, quick
    from petpoo.train.pipeline import get_dls
    from petpoo.train.phases import fit
    from petpoo.train.training import get_learner
    began = time.perf_counter()
    table = photographs(data, part)
    learn = get_learner(get_dls(table, size=SIZE), ARCH)
    head = head_learner(learn)
    with head.no_bar(), head.no_logging(): history = fit(head, quick())
    seconds = time.perf_counter() - began
    return dict(train_images=int((table.split == 'train').sum()), seconds=seconds, seconds_for_all=seconds if not part else None, accuracy=float(history.accuracy.iloc[-1]))

JOBS = {'fastai, slice': ('fastai', True), 'petpoo quick, cold cache': ('petpoo', False), 'petpoo quick, warm cache': ('petpoo', False), 'petpoo quick, slice': ('petpoo', True)}

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data'); p.add_argument('--slice', type=int, default=500); p.add_argument('--job')
    args = p.parse_args()
    if args.job:
        warnings.simplefilter('ignore')
        who, part = JOBS[args.job]
        found = globals()[who](args.data, args.slice if part else 0)
        return print(json.dumps(found | dict(peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024)))
    os.environ['PETPOO_CACHE'] = tempfile.mkdtemp()
    rows = []
    for job in JOBS:
        done = subprocess.run([sys.executable, '-W', 'ignore', __file__, args.data, '--slice', str(args.slice), '--job', job], capture_output=True, text=True)
        if done.returncode: sys.exit(done.stderr)
        rows.append(dict(job=job, arch=ARCH, size=SIZE, **json.loads(done.stdout.splitlines()[-1]), **environment()))
        pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.3f')
        print(pd.DataFrame(rows)[['job', 'train_images', 'seconds', 'seconds_for_all', 'accuracy', 'peak_mb']].iloc[-1:].to_string(header=len(rows) == 1), flush=True)

if __name__ == '__main__': main()
