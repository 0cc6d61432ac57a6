"""Compare `petpoo train`'s quick recipe with fastai's `vision_learner`; write results/against_fastai.csv.

    python benchmarks/against_fastai.py path/to/oxford-iiit-pet [--slice 500]

Both train the same network on the same photographs, a seeded fifth of which is held out. fastai trains one frozen and
one unfrozen epoch on a slice of the training images, and its time is extrapolated to all of them. petpoo trains on all
of them, with a cold and then with a warm cache, and on the slice alone, so that accuracy is compared after the same
images. The jobs run one after the other. Each is a process of its own, which gives its peak memory."""
import argparse, json, os, resource, subprocess, sys, tempfile, time, warnings
from pathlib import Path
import pandas as pd
from petpoo.core import environment

OUT = Path(__file__).parent.parent/'results'/'against_fastai.csv'
ARCH, SIZE = 'tf_efficientnet_lite2', 260

def photographs(data, part):
    "The table with a seeded fifth held out, and `part` training images, or all for 0."
    from petpoo.data.layouts import read_table
    from petpoo.data.table import split_table
    table = split_table(read_table(data), seed=42)
    train = table[table.split == 'train']
    if part: train = train.sample(part, random_state=42)
    return pd.concat([train, table[table.split == 'valid']], ignore_index=True)

def fastai_learner(table):
    "fastai's learner with the ImageNet weights that petpoo uses."
    from fastai.vision.all import ImageDataLoaders, Normalize, Resize, ResizeMethod, accuracy, vision_learner
    from petpoo.train.models import make_body
    rows = table.assign(held=table.split == 'valid')[['path', 'label', 'held']]
    dls = ImageDataLoaders.from_df(
        rows, path='/', valid_col='held', item_tfms=Resize(SIZE, ResizeMethod.Squish), bs=64, num_workers=0)
    learn = vision_learner(dls, ARCH, pretrained=False, metrics=accuracy)
    learn.model[0].model.load_state_dict(make_body(ARCH)[0].state_dict())
    learn.freeze()
    learn.dls.add_tfms([Normalize.from_stats((0.5,)*3, (0.5,)*3)], 'after_batch')
    return learn

def timed(f, *args):
    "The result and the seconds."
    began = time.perf_counter()
    result = f(*args)
    return result, time.perf_counter() - began

def fastai(data, part):
    "One frozen and one unfrozen epoch."
    table = photographs(data, part)
    learn, seconds = fastai_learner(table), []
    with learn.no_bar():
        for prepare in (learn.freeze, learn.unfreeze):
            prepare()
            seconds.append(timed(learn.fit_one_cycle, 1, 2e-3)[1])
        (_, accuracy), validation = timed(learn.validate)
    n, n_all = (table.split == 'train').sum(), (photographs(data, 0).split == 'train').sum()
    frozen, unfrozen = (o - validation for o in seconds)
    return dict(
        train_images=int(n), seconds=sum(seconds), frozen_per_second=n/frozen, unfrozen_per_second=n/unfrozen,
        seconds_for_all=(frozen + unfrozen)*n_all/n + 2*validation, accuracy=float(accuracy))

def petpoo(data, part):
    "A head on cached features, from reading the table to the fitted head."
    from petpoo.evaluate import interpret # learn.predictions # noqa: F401
    from petpoo.train.pipeline import get_dls
    from petpoo.train.training import get_learner
    began = time.perf_counter()
    table = photographs(data, part)
    learn = get_learner(get_dls(table, size=SIZE), ARCH)
    learn.cross_validate(splits=('train',))
    seconds = time.perf_counter() - began
    preds = learn.predictions(from_features=True)
    return dict(
        train_images=int((table.split == 'train').sum()), seconds=seconds,
        seconds_for_all=None if part else seconds, accuracy=float((preds.truth == preds.predicted).mean()))

JOBS = { # name -> function, whether it trains on the slice
    'fastai, slice': (fastai, True),
    'petpoo quick, cold cache': (petpoo, False),
    'petpoo quick, warm cache': (petpoo, False),
    'petpoo quick, slice': (petpoo, True)}

def work(job, data, part):
    "Run one job and print its figures as JSON."
    warnings.simplefilter('ignore')
    train, sliced = JOBS[job]
    figures = train(data, part if sliced else 0)
    print(json.dumps(figures | dict(peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024)))

def in_process(job, args):
    "The figures of a job that runs in a process of its own."
    command = [sys.executable, '-W', 'ignore', __file__, args.data, '--slice', str(args.slice), '--job', job]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode: sys.exit(done.stderr)
    return json.loads(done.stdout.splitlines()[-1])

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--slice', type=int, default=500, help='training images of the slice (default: %(default)s)')
    p.add_argument('--job', choices=JOBS, help=argparse.SUPPRESS)
    return p.parse_args()

def main():
    args = arguments()
    if args.job: return work(args.job, args.data, args.slice)
    os.environ['PETPOO_CACHE'] = tempfile.mkdtemp()
    rows, shown = [], ['job', 'train_images', 'seconds', 'seconds_for_all', 'accuracy', 'peak_mb']
    for job in JOBS:
        rows.append(dict(job=job, arch=ARCH, size=SIZE, **in_process(job, args), **environment()))
        table = pd.DataFrame(rows)
        table.to_csv(OUT, index=False, float_format='%.3f')
        print(table[shown].iloc[-1:].to_string(header=len(rows) == 1), flush=True)

if __name__ == '__main__': main()
