"""Measure predictions by petpoo's engines and by fastai, on one network; write results/predict_speed.csv.

    python benchmarks/predict_speed.py path/to/oxford-iiit-pet [--photos 3000] [--rounds 5]

The network is the one that `benchmarks/ship.py` trains, with a head of random weights: its answers are worthless, but
take as long. fastai has it in a `Learner` over `ImageDataLoaders` with `Resize` and `Normalize`, exported to a pickle.

Each measurement is a process of its own, and the kinds take turns. `one`: a single photo in a warm process. `first`: a
new process from its start to its end. `many`: all photos in one call."""
import argparse, itertools, json, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np

OUT = Path(__file__).parent.parent/'results'/'predict_speed.csv'
KINDS = ['fastai', 'onnxruntime', 'openvino']
ASK_FASTAI = """from fastai.vision.all import load_learner
print(load_learner(r'{0}/fastai.pkl').predict(r'{1}')[0])"""
ASK_PETPOO = """from petpoo.learner import load_classifier
print(load_classifier(r'{{0}}/bundle', engine='{engine}').predict(r'{{1}}').label)"""
FIRST = dict(fastai=ASK_FASTAI) | {o: ASK_PETPOO.format(engine=o) for o in KINDS[1:]}

def memory(peak=False):
    "Resident memory of this process in MiB."
    name = 'VmHWM' if peak else 'VmRSS'
    return int(next(o for o in open('/proc/self/status') if o.startswith(name)).split()[1])/1024

def make(folder, data):
    "Export the same network as a bundle and as fastai's pickle; returns the paths of the photographs."
    from petpoo.classify.export import export_bundle
    from petpoo.data.layouts import read_table
    from petpoo.data.table import split_table
    from petpoo.train.pethead import pet_learner
    from petpoo.train.pipeline import get_dls
    from ship import ARCH, RESIZE, SEED, SIZE
    table = split_table(read_table(data), seed=SEED)
    learn = pet_learner(get_dls(table, size=SIZE, resize=RESIZE, augment=False, seed=SEED), ARCH, seed=SEED)
    export_bundle(learn, folder/'bundle', n_check=50, n_fit=50, weights=False)
    fastai_learner(learn, table).export(folder/'fastai.pkl')
    return table['path'].tolist()

def fastai_learner(learn, table):
    "The network in a learner as fastai's documentation makes one."
    import torch
    from fastai.vision.all import CrossEntropyLossFlat, ImageDataLoaders, Learner, Normalize, Resize
    spec = learn.dls.spec
    dls = ImageDataLoaders.from_lists(
        '/', table['path'].tolist(), table['label'].tolist(), item_tfms=Resize(spec.size[0]),
        batch_tfms=Normalize.from_stats(spec.mean, spec.std), bs=64, num_workers=2)
    model = learn.model.cpu().to(memory_format=torch.contiguous_format)
    return Learner(dls, model, loss_func=CrossEntropyLossFlat())

def fastai_calls(folder):
    "Functions of one photo and of many."
    from fastai.vision.all import load_learner
    learn = load_learner(folder/'fastai.pkl')
    def predict(photo):
        with learn.no_bar(): return learn.predict(photo)
    def many(photos): return learn.get_preds(dl=learn.dls.test_dl(photos, bs=64))[0]
    return predict, many

def petpoo_calls(folder, engine):
    "Functions of one photo and of many."
    from petpoo.learner import load_classifier
    clf = load_classifier(folder/'bundle', engine=engine)
    return clf.predict, lambda photos: list(clf.predict_batch(photos))

def timed(f, *args):
    "Seconds."
    began = time.perf_counter()
    f(*args)
    return time.perf_counter() - began

def worker(kind, task, folder, photos):
    "One measurement, as a dict."
    predict, many = fastai_calls(folder) if kind == 'fastai' else petpoo_calls(folder, kind)
    if task == 'many': return dict(seconds=timed(many, photos), mib=memory(peak=True))
    predict(photos[0])
    mib, took = memory(), [timed(predict, o) for o in photos[:70]]
    return dict(ms=1000*float(np.median(took[10:])), mib=mib)

def python(*words): return subprocess.run([sys.executable, '-W', 'ignore', *words], check=True, capture_output=True)

def measured(kind, task, folder, names):
    "One measurement in a process of its own."
    if task == 'first': return dict(seconds=timed(python, '-c', FIRST[kind].format(folder, read(names)[0])))
    done = python(__file__, '--worker', kind, task, str(folder), str(names))
    return json.loads(done.stdout.decode().splitlines()[-1])

def read(names): return json.loads(Path(names).read_text())

def measure(data, photos, rounds):
    "A row for each measurement."
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        names, paths = folder/'photos.json', make(folder, data)
        names.write_text(json.dumps(np.random.default_rng(0).permutation(paths)[:photos].tolist()))
        for task, turns in dict(one=rounds, first=rounds, many=1).items():
            for kind in KINDS: measured(kind, 'one' if task == 'many' else task, folder, names) # warms the disk's cache
            for turn, kind in itertools.product(range(turns), KINDS):
                row = dict(task=task, kind=kind, turn=turn, **measured(kind, task, folder, names))
                print(row, flush=True)
                yield row

def compared(rows):
    "Medians, beside fastai's."
    import pandas as pd # not in the workers, whose memory is measured
    medians = pd.DataFrame(rows).groupby(['task', 'kind'], sort=False).median(numeric_only=True)
    table = medians.drop(columns='turn').reset_index()
    base, unit = table[table.kind == 'fastai'].set_index('task'), dict(one='ms', first='seconds', many='seconds')
    table['times_as_fast'] = [base[unit[o.task]][o.task]/getattr(o, unit[o.task]) for o in table.itertuples()]
    table['share_of_memory'] = [o.mib/base.mib[o.task] for o in table.itertuples()]
    return table

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data', nargs='?')
    p.add_argument('--photos', type=int, default=3000, help='predicted in one call (default: %(default)s)')
    p.add_argument('--rounds', type=int, default=5, help='of the other tasks; medians count (default: %(default)s)')
    p.add_argument('--worker', nargs=4, help=argparse.SUPPRESS)
    return p.parse_args()

def main():
    args = arguments()
    if args.worker:
        kind, task, folder, names = args.worker
        return print(json.dumps(worker(kind, task, Path(folder), read(names))))
    from petpoo.core import atomic_path, environment
    table = compared(measure(args.data, args.photos, args.rounds))
    table = table.assign(photos=args.photos, rounds=args.rounds, **environment())
    with atomic_path(OUT) as path: table.to_csv(path, index=False, float_format='%.3f')
    print(table.iloc[:, :8].to_string(index=False))

if __name__ == '__main__': main()
