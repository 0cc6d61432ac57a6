"""Time `petpoo train` beside what one would write instead; write results/peers.csv.

    python benchmarks/peers.py path/to/oxford-iiit-pet [--jobs body cold warm sklearn fastai ...] [--slice 300] [--turns 3]

The same photographs, the same network (EfficientNet-Lite2 at 260 pixels, ImageNet's weights) and all cores for each job,
one after the other, each in a process of its own:

- body: the network alone on noise, on the engine that petpoo chooses; what `petpoo train` cannot be faster than
- cold and warm: the whole command `petpoo train`, with an empty cache and with a full one
- labels: the whole command `petpoo audit --labels`, with an empty cache
- labels_before: the same command of an earlier petpoo, in a checkout that `--before` names, such as that of 4359b16
- sklearn: twenty lines of timm and scikit-learn, the features of a frozen network and a logistic regression in five folds
- tuned: the same with glibc's allocator told to keep large blocks, which few know
- fastai: one frozen and one unfrozen epoch on a slice, extrapolated to all photographs (see against_fastai.py)
- sklearn_minutes and fastai_minutes: how far these come in the time of `cold` (or `--budget`), on as
  many photographs as fit into it; fastai trains its new layers for an epoch, as the first part of `fine_tune` does
- sklearn_shipped and fastai_shipped: the MiB of what is shipped, and the start and the time a photo of a process that
  answers with scikit-learn's; predict_speed.csv has those of petpoo and of fastai
- imports: torch and fastai alone; a warm command cannot be much faster
- ultralytics, keras and autogluon: each package's own classifier in its own words; without a network it can only say
  on which line it stopped

With `--turns`, all jobs run several times in turn, and the row of a job is that of its median time: a machine that others
use is a tenth slower at one minute than at the next.

Accuracies of petpoo and scikit-learn are cross-validated over all photographs; those of fastai, and after the same
minutes, are of a seeded fifth, which is asked after the time is up."""
import argparse, json, os, subprocess, sys, tempfile, time
from pathlib import Path
import numpy as np
import pandas as pd
from against_fastai import ARCH, SIZE, fastai
from petpoo.core import environment

OUT = Path(__file__).parent.parent/'results'/'peers.csv'

def body(data, part):
    "Run the network on noise, one picture a core at once."
    from concurrent.futures import ThreadPoolExecutor
    from petpoo.limits import cores
    from petpoo.data.layouts import read_table
    from petpoo.train.bodies import body_runner, engine_for
    from petpoo.train.models import make_body
    from petpoo.train.spec import InputSpec
    import torch
    network, mean, std = make_body(ARCH)
    each, together = body_runner(network, InputSpec((SIZE, SIZE), 'squish', [], {}, 'label', mean, std), 1000)
    noise, n = np.random.default_rng(0).integers(0, 256, (SIZE, SIZE, 3), np.uint8), len(read_table(data))
    began = time.perf_counter()
    with ThreadPoolExecutor(cores() + 1) as pool:
        for i in range(0, n, 32): together(list(pool.map(each, [noise]*min(32, n - i))))
    return dict(images=n, seconds=time.perf_counter() - began, engine=engine_for(torch.device('cpu')))

def petpoo(data, part):
    "The whole command."
    with tempfile.TemporaryDirectory() as tmp:
        run, began = Path(tmp)/'run', time.perf_counter()
        subprocess.run(['petpoo', 'train', '--data', data, '--out', run], check=True, stdout=subprocess.DEVNULL)
        seconds = time.perf_counter() - began
        accuracy, species = (o['metrics']['accuracy'] for o in json.loads((run/'metrics.json').read_text()).values())
        n = len(pd.read_csv(run/'predictions.csv'))
        shipped = sum(o.stat().st_size for o in (run/'bundle').iterdir() if o.name != 'weights.safetensors')
    return dict(images=n, seconds=seconds, accuracy=accuracy['value'], low=accuracy['low'], high=accuracy['high'],
                species=species['value'], species_low=species['low'], species_high=species['high'],
                shipped_mb=shipped/2**20)

def labels(data, part, **others):
    "The audit, wrong labels included."
    with tempfile.TemporaryDirectory() as tmp:
        began, env = time.perf_counter(), dict(os.environ, PETPOO_CACHE=f'{tmp}/cache', **others)
        command = ['petpoo', 'audit', data, '--labels', '--out', f'{tmp}/audit']
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env)
        seconds = time.perf_counter() - began
        return dict(images=len(pd.read_csv(f'{tmp}/audit/table.csv')), seconds=seconds)

def labels_before(data, part): return labels(data, part, PYTHONPATH=os.environ['BEFORE'])

def frozen_features():
    "A function from image files to features, in timm's words."
    import timm, torch
    from PIL import Image
    from petpoo.train.models import make_body # for weights that need no download
    network = make_body(ARCH)[0].eval().to(memory_format=torch.channels_last)
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network) | dict(input_size=(3, SIZE, SIZE)))
    def features(files):
        batch = torch.stack([transform(Image.open(o).convert('RGB')) for o in files])
        with torch.inference_mode(): return network(batch.to(memory_format=torch.channels_last)).numpy()
    return features

def regression():
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    return make_pipeline(StandardScaler(), LogisticRegression(C=0.005, max_iter=200))

def sklearn(data, part):
    "What a good engineer would type."
    began = time.perf_counter()
    from sklearn.model_selection import cross_val_predict
    features, files = frozen_features(), sorted(Path(data).glob('images/*.jpg'))
    x = np.concatenate([features(files[i:i + 32]) for i in range(0, len(files), 32)])
    labels = np.array([o.stem.rsplit('_', 1)[0] for o in files])
    right = cross_val_predict(regression(), x, labels, cv=5) == labels
    return dict(images=len(files), seconds=time.perf_counter() - began, accuracy=right.mean())

SHIPPED = """
import sys, time
began = time.perf_counter()
import joblib, numpy as np, timm, torch
from PIL import Image
torch.set_grad_enabled(False)
folder, arch, size, *photos = sys.argv[1:]
network = timm.create_model(arch, num_classes=0).eval()
network.load_state_dict(torch.load(f'{folder}/body.pt', weights_only=True))
config = timm.data.resolve_model_data_config(network) | dict(input_size=(3, int(size), int(size)))
transform, head = timm.data.create_transform(**config), joblib.load(f'{folder}/head.joblib')
def answer(photo): return head.predict_proba(network(transform(Image.open(photo).convert('RGB'))[None]).numpy())
answer(photos[0])
first, times = time.perf_counter() - began, []
for photo in photos:
    began = time.perf_counter()
    answer(photo)
    times.append(time.perf_counter() - began)
print(first, 1000*np.median(times))
"""

def sklearn_shipped(data, part):
    "What the twenty lines ship: the network's weights and a pickled regression, in a new process, a photo at a time."
    import joblib, torch
    from petpoo.train.models import make_body
    features, table = frozen_features(), some_photographs(data, 370)
    train, held = (table[table.split == o] for o in ('train', 'valid'))
    x = np.concatenate([features(train.path.iloc[i:i + 32]) for i in range(0, len(train), 32)])
    with tempfile.TemporaryDirectory() as folder:
        joblib.dump(regression().fit(x, train.label), f'{folder}/head.joblib')
        torch.save(make_body(ARCH)[0].state_dict(), f'{folder}/body.pt')
        shipped = sum(o.stat().st_size for o in Path(folder).iterdir())
        words = [sys.executable, '-c', SHIPPED, folder, ARCH, str(SIZE), *held.path[:50]]
        first, ms = map(float, subprocess.run(words, check=True, capture_output=True, text=True).stdout.split())
    return dict(images=len(train), shipped_mb=shipped/2**20, first_seconds=first, ms_a_photo=ms)

def fastai_shipped(data, part):
    "What `learn.export` writes."
    from against_fastai import fastai_learner
    learn = fastai_learner(some_photographs(data, 64))
    with tempfile.TemporaryDirectory() as folder:
        learn.path = Path(folder)
        learn.export()
        return dict(images=64, shipped_mb=(learn.path/'export.pkl').stat().st_size/2**20)

def sklearn_minutes(data, budget):
    "The same, on as many photographs as fit into the time, with three seconds for the regression."
    from against_fastai import photographs
    began, x = time.perf_counter(), []
    features, table = frozen_features(), photographs(data, 0).sample(frac=1, random_state=0)
    train, held = (table[table.split == o] for o in ('train', 'valid'))
    for i in range(0, len(train), 32):
        if time.perf_counter() - began > budget - 3: break
        x.append(features(train.path.iloc[i:i + 32]))
    x = np.concatenate(x)
    model = regression().fit(x, train.label.iloc[:len(x)])
    seconds = time.perf_counter() - began
    asked = np.concatenate([features(held.path.iloc[i:i + 32]) for i in range(0, len(held), 32)])
    return dict(images=len(x), seconds=seconds, accuracy=(model.predict(asked) == held.label).mean())

def some_photographs(data, n):
    "`n` training images, as many of each class as possible, and those held out."
    from against_fastai import photographs
    table = photographs(data, 0).sample(frac=1, random_state=0)
    train = table[table.split == 'train']
    train = train.iloc[train.groupby('label').cumcount().argsort(kind='stable')][:n]
    return pd.concat([train, table[table.split == 'valid']], ignore_index=True)

def fastai_minutes(data, budget):
    "An epoch of the new layers, on as many photographs as fit into the time by the speed of the first batch."
    from against_fastai import fastai_learner, timed
    from fastai.callback.core import Callback, CancelFitException, CancelValidException
    class NoValidation(Callback):
        def before_validate(self): raise CancelValidException
    class StopSoon(NoValidation):
        def after_batch(self): raise CancelFitException
    def train(learn, callback):
        with learn.no_bar(), learn.no_logging(): learn.fit_one_cycle(1, slice(2e-3), pct_start=.99, cbs=callback())
    began = time.perf_counter()
    _, seconds = timed(train, fastai_learner(some_photographs(data, 64)), StopSoon)
    n = max(1, int((budget - (time.perf_counter() - began))/seconds))*64
    learn = fastai_learner(some_photographs(data, n))
    train(learn, NoValidation)
    seconds = time.perf_counter() - began
    with learn.no_bar(): return dict(images=n, seconds=seconds, accuracy=learn.validate()[1])

def with_fastai(data, part):
    "fastai on a slice."
    found = fastai(data, int(part))
    return dict(images=found['train_images'], seconds=found['seconds'], seconds_for_all=found['seconds_for_all'],
                accuracy=found['accuracy'])

def folders(data, home):
    "The photographs as links, in folders train/CLASS and val/CLASS."
    from against_fastai import photographs
    for row in photographs(data, 0).itertuples():
        folder = Path(home)/dict(train='train', valid='val')[row.split]/row.label
        folder.mkdir(parents=True, exist_ok=True)
        (folder/Path(row.path).name).symlink_to(Path(row.path).absolute())
    return home

def ultralytics(data, part):
    "One epoch of its smallest classifier."
    from ultralytics import YOLO
    with tempfile.TemporaryDirectory() as home:
        began = time.perf_counter()
        result = YOLO('yolo11n-cls.pt').train(data=folders(data, home), epochs=1, imgsz=SIZE, device='cpu', project=home)
        return dict(seconds=time.perf_counter() - began, accuracy=result.top1)

def keras(data, part):
    "A dense layer on a frozen EfficientNet."
    os.environ['KERAS_BACKEND'] = 'torch'
    import keras
    with tempfile.TemporaryDirectory() as home:
        folders(data, home)
        began = time.perf_counter()
        body = keras.applications.EfficientNetB2(include_top=False, pooling='avg')
        body.trainable = False
        model = keras.Sequential([body, keras.layers.Dense(37, activation='softmax')])
        model.compile('adam', 'sparse_categorical_crossentropy', ['accuracy'])
        train, held = (keras.utils.image_dataset_from_directory(f'{home}/{o}', image_size=(SIZE, SIZE))
                       for o in ('train', 'val'))
        model.fit(train)
        return dict(seconds=time.perf_counter() - began, accuracy=model.evaluate(held)[1])

def autogluon(data, part):
    "Its predictor for pictures, five minutes."
    from autogluon.multimodal import MultiModalPredictor
    from against_fastai import photographs
    table, began = photographs(data, 0)[['path', 'label', 'split']], time.perf_counter()
    train, held = (table[table.split == o].drop(columns='split') for o in ('train', 'valid'))
    model = MultiModalPredictor(label='label').fit(train, time_limit=300)
    return dict(seconds=time.perf_counter() - began, accuracy=model.evaluate(held)['accuracy'])

def imports(data, part):
    "torch and fastai."
    began = time.perf_counter()
    import torch, fastai.vision.all # noqa: F401
    return dict(seconds=time.perf_counter() - began)

JOBS = dict(imports=imports, body=body, cold=petpoo, warm=petpoo, labels=labels,
            labels_before=labels_before, sklearn=sklearn, tuned=sklearn,
            fastai=with_fastai, sklearn_minutes=sklearn_minutes, fastai_minutes=fastai_minutes,
            sklearn_shipped=sklearn_shipped, fastai_shipped=fastai_shipped,
            ultralytics=ultralytics, keras=keras, autogluon=autogluon)
KEEP_BLOCKS = dict(MALLOC_MMAP_THRESHOLD_=str(2**30), MALLOC_TRIM_THRESHOLD_=str(2**30))

def in_process(job, args, cold):
    "The figures of a job in a process of its own, and the most memory that it took."
    amount = cold() if job.endswith('minutes') else args.slice
    command = [sys.executable, '-W', 'ignore', __file__, args.data, '--amount', str(amount), '--job', job]
    env, began = os.environ | dict(BEFORE=args.before) | (KEEP_BLOCKS if job == 'tuned' else {}), os.times().elapsed
    child = subprocess.run(command, capture_output=True, text=True, env=env)
    if child.returncode: return dict(failed=([o for o in child.stderr.splitlines() if o.strip()] or ['?'])[-1])
    return dict(process_seconds=os.times().elapsed - began, **json.loads(child.stdout.splitlines()[-1]))

def median_runs(args):
    "Job -> its figures, those of the run with the median time."
    runs = {job: [] for job in args.jobs}
    def cold():
        if args.budget: return args.budget
        before = runs.get('cold') or [pd.read_csv(OUT).set_index('job').loc['cold']]
        return before[-1]['process_seconds']
    for _ in range(args.turns):
        with tempfile.TemporaryDirectory() as os.environ['PETPOO_CACHE']:
            for job, found in runs.items():
                found.append(in_process(job, args, cold))
                print(job, found[-1], flush=True)
    return {job: sorted(found, key=lambda o: o.get('seconds', 0))[len(found)//2] for job, found in runs.items()}

def work(job, args):
    import resource
    figures = JOBS[job](args.data, args.amount)
    who = resource.RUSAGE_CHILDREN if job in ('cold', 'warm', 'labels', 'labels_before') else resource.RUSAGE_SELF
    print(json.dumps(figures | dict(peak_mb=resource.getrusage(who).ru_maxrss//1024), default=float))

def instructions():
    "Those of the processor that matter here."
    try: flags = next(o for o in open('/proc/cpuinfo') if o.startswith('flags')).split()
    except (OSError, StopIteration): return ''
    return ' '.join(o for o in ('avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16') if o in flags)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--jobs', nargs='+', choices=JOBS, default=[o for o in JOBS if o != 'labels_before'])
    p.add_argument('--before', default='', help='a checkout of an earlier petpoo, for `labels_before`')
    p.add_argument('--turns', type=int, default=1, help='times that each job is run (default: %(default)s)')
    p.add_argument('--slice', type=int, default=300, help="fastai's training images (default: %(default)s)")
    p.add_argument('--budget', type=float, help='seconds of the jobs `minutes` (default: those of `cold`)')
    p.add_argument('--amount', type=float, help=argparse.SUPPRESS)
    p.add_argument('--job', choices=JOBS, help=argparse.SUPPRESS)
    return p.parse_args()

def main():
    args = arguments()
    if args.job: return work(args.job, args)
    rows = [] if {*args.jobs} >= {*JOBS} - {'labels_before'} or not OUT.exists() else pd.read_csv(OUT).to_dict('records')
    for job, figures in median_runs(args).items():
        rows = [o for o in rows if o['job'] != job]
        rows.append(dict(job=job, **figures, instructions=instructions(), **environment()))
        pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.4g')

if __name__ == '__main__': main()
