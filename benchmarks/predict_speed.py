"""Asking a trained classifier: petpoo's engines beside fastai's `load_learner`, on the same network; write results/predict_speed.csv.

    python benchmarks/predict_speed.py path/to/oxford-iiit-pet [--photos 3000] [--rounds 5]

The network is the one that `benchmarks/ship.py` trains, with a head of random weights: its answers are worthless, and cost as much. fastai has it in a `Learner` over `ImageDataLoaders` with
`Resize` and `Normalize`, exported to a pickle. Each measurement is a process of its own, and the kinds take turns. Seconds of a new process are counted from outside, from its start to its end."""
import argparse, json, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np

OUT = Path(__file__).parent.parent/'results'/'predict_speed.csv'
KINDS = ['fastai', 'onnxruntime', 'openvino']
FIRST = dict(fastai="from fastai.vision.all import load_learner; print(load_learner(r'{0}/fastai.pkl').predict(r'{1}')[0])",
    **{o: f"from petpoo.learner import load_classifier; print(load_classifier(r'{{0}}/bundle', engine='{o}').predict(r'{{1}}').label)" for o in KINDS[1:]})

def memory(peak=False):
    "Resident memory of this process in MiB."
    name = 'VmHWM' if peak else 'VmRSS'
    return int(next(o for o in open('/proc/self/status') if o.startswith(name)).split()[1])/1024

def make(folder, data):
    "The same network as a bundle and as fastai's pickle."
    from fastai.vision.all import CrossEntropyLossFlat, ImageDataLoaders, Learner, Normalize, Resize
    from petpoo.data.layouts import read_table
    from petpoo.data.table import split_table
    from petpoo.classify.export import export_bundle
    from petpoo.train.pethead import pet_learner
    from petpoo.train.pipeline import get_dls
    from ship import ARCH, RESIZE, SEED, SIZE
    table = split_table(read_table(data), seed=SEED)
    learn = pet_learner(get_dls(table, size=SIZE, resize=RESIZE, augment=False, seed=SEED), ARCH, seed=SEED)
    export_bundle(learn, folder/'bundle', n_check=50, n_fit=50, weights=False)
    spec = learn.dls.spec
    dls = ImageDataLoaders.from_lists('/', table['path'].tolist(), table['label'].tolist(), item_tfms=Resize(SIZE), batch_tfms=Normalize.from_stats(spec.mean, spec.std), bs=64, num_workers=2)
    theirs = Learner(dls, learn.model.cpu().to(memory_format=__import__('torch').contiguous_format), loss_func=CrossEntropyLossFlat())
    theirs.export(folder/'fastai.pkl')
    return table['path'].tolist()

def worker(kind, task, folder, photos):
    "One measurement, as a dict."
    if kind == 'fastai':
        from fastai.vision.all import load_learner
        learn = load_learner(folder/'fastai.pkl')
        def predict(o):
            with learn.no_bar(): return learn.predict(o)
        def many(): return learn.get_preds(dl=learn.dls.test_dl(photos, bs=64))[0]
    else:
        from petpoo.learner import load_classifier
        clf = load_classifier(folder/'bundle', engine=kind)
        predict = clf.predict
        def many():
            for o in clf.predict_batch(photos): pass
    if task == 'many':
        began = time.perf_counter()
        many()
        return dict(seconds=time.perf_counter() - began, mib=memory(peak=True))
    predict(photos[0])
    mib, took = memory(), []
    for o in photos[:70]:
        began = time.perf_counter()
        predict(o)
        took.append(time.perf_counter() - began)
    return dict(ms=1000*float(np.median(took[10:])), mib=mib)

def measured(kind, task, folder, names):
    if task == 'first':
        began = time.perf_counter()
        subprocess.run([sys.executable, '-W', 'ignore', '-c', FIRST[kind].format(folder, json.loads(names.read_text())[0])], check=True, capture_output=True)
        return dict(seconds=time.perf_counter() - began)
    done = subprocess.run([sys.executable, '-W', 'ignore', __file__, '--worker', kind, task, str(folder), str(names)], check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('data', nargs='?'); add('--photos', type=int, default=3000); add('--rounds', type=int, default=5); add('--worker', nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        kind, task, folder, names = args.worker
        return print(json.dumps(worker(kind, task, Path(folder), json.loads(Path(names).read_text()))))
    import pandas as pd
    from petpoo.core import atomic_path, environment
    with tempfile.TemporaryDirectory() as folder:
        folder = Path(folder)
        paths = make(folder, args.data)
        names = folder/'photos.json'
        names.write_text(json.dumps(np.random.default_rng(0).permutation(paths)[:args.photos].tolist()))
        rows = []
        for task, rounds in dict(one=args.rounds, first=args.rounds, many=1).items():
            for kind in KINDS: measured(kind, 'one' if task == 'many' else task, folder, names) # warms the disk's cache
            for turn in range(rounds):
                for kind in KINDS:
                    rows.append(dict(task=task, kind=kind, turn=turn, **measured(kind, task, folder, names)))
                    print(rows[-1], flush=True)
    table = pd.DataFrame(rows).groupby(['task', 'kind'], sort=False).median(numeric_only=True).drop(columns='turn').reset_index()
    base = table[table.kind == 'fastai'].set_index('task')
    table['times_as_fast'] = [base[o].get(r.task)/getattr(r, o) for r in table.itertuples() for o in ['ms' if r.task == 'one' else 'seconds']]
    table['share_of_memory'] = [r.mib/base.mib[r.task] for r in table.itertuples()]
    table = table.assign(photos=args.photos, rounds=args.rounds, **environment())
    with atomic_path(OUT) as out: table.to_csv(out, index=False, float_format='%.3f')
    print(table.iloc[:, :8].to_string(index=False))

if __name__ == '__main__': main()
