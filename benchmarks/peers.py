"""Time `petpoo train` beside what one would write instead; write results/peers.csv.

    python benchmarks/peers.py path/to/oxford-iiit-pet [--jobs body cold warm sklearn fastai ...] [--slice 300] [--turns 3]

The same photographs, the same network (EfficientNet-Lite2 at 260 pixels, ImageNet's weights) and all cores for each job,
one after the other, each in a process of its own:

- body: the network alone on noise, on the engine that petpoo chooses; what `petpoo train` cannot be faster than
- cold and warm: the whole command `petpoo train`, with an empty cache and with a full one
- labels: the whole command `petpoo audit --labels`, with an empty cache
- sklearn: twenty lines of timm and scikit-learn, the features of a frozen network and a logistic regression in five folds
- fastai: one frozen and one unfrozen epoch on a slice, extrapolated to all photographs (see against_fastai.py)
- imports: torch and fastai alone; a warm command cannot be much faster
- ultralytics, keras and autogluon: each package's own classifier in its own words; without a network it can only say
  on which line it stopped

With `--turns`, all jobs run several times in turn, and the row of a job is that of its median time: a machine that others
use is a tenth slower at one minute than at the next.

Accuracies of petpoo and scikit-learn are cross-validated over all photographs; fastai's is that of a seeded fifth."""
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
    from petpoo.core import cores
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

def labels(data, part):
    "The audit, wrong labels included."
    with tempfile.TemporaryDirectory() as tmp:
        began, env = time.perf_counter(), dict(os.environ, PETPOO_CACHE=f'{tmp}/cache')
        command = ['petpoo', 'audit', data, '--labels', '--out', f'{tmp}/audit']
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=env)
        seconds = time.perf_counter() - began
        return dict(images=len(pd.read_csv(f'{tmp}/audit/table.csv')), seconds=seconds)

def sklearn(data, part):
    "What a good engineer would type."
    began = time.perf_counter()
    import timm, torch
    from PIL import Image
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_predict
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    from petpoo.train.models import make_body # for weights that need no download
    network, files = make_body(ARCH)[0].eval().to(memory_format=torch.channels_last), sorted(Path(data).glob('images/*.jpg'))
    transform = timm.data.create_transform(**timm.data.resolve_model_data_config(network) | dict(input_size=(3, SIZE, SIZE)))
    features = []
    with torch.inference_mode():
        for i in range(0, len(files), 32):
            batch = torch.stack([transform(Image.open(o).convert('RGB')) for o in files[i:i + 32]])
            features.append(network(batch.to(memory_format=torch.channels_last)).numpy())
    labels = np.array([o.stem.rsplit('_', 1)[0] for o in files])
    model = make_pipeline(StandardScaler(), LogisticRegression(C=0.005, max_iter=200))
    right = cross_val_predict(model, np.concatenate(features), labels, cv=5) == labels
    return dict(images=len(files), seconds=time.perf_counter() - began, accuracy=right.mean())

def with_fastai(data, part):
    "fastai on a slice."
    found = fastai(data, part)
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

JOBS = dict(imports=imports, body=body, cold=petpoo, warm=petpoo, labels=labels, sklearn=sklearn, fastai=with_fastai,
            ultralytics=ultralytics, keras=keras, autogluon=autogluon)

def in_process(job, args):
    "The figures of a job in a process of its own, and the most memory that it took."
    command = [sys.executable, '-W', 'ignore', __file__, args.data, '--slice', str(args.slice), '--job', job]
    began = os.times().elapsed
    child = subprocess.run(command, capture_output=True, text=True)
    if child.returncode: return dict(failed=([o for o in child.stderr.splitlines() if o.strip()] or ['?'])[-1])
    return dict(process_seconds=os.times().elapsed - began, **json.loads(child.stdout.splitlines()[-1]))

def median_runs(args):
    "Job -> its figures, those of the run with the median time."
    runs = {job: [] for job in args.jobs}
    for _ in range(args.turns):
        with tempfile.TemporaryDirectory() as os.environ['PETPOO_CACHE']:
            for job, found in runs.items():
                found.append(in_process(job, args))
                print(job, found[-1], flush=True)
    return {job: sorted(found, key=lambda o: o.get('seconds', 0))[len(found)//2] for job, found in runs.items()}

def work(job, args):
    import resource
    figures = JOBS[job](args.data, args.slice)
    who = resource.RUSAGE_CHILDREN if job in ('cold', 'warm', 'labels') else resource.RUSAGE_SELF
    print(json.dumps(figures | dict(peak_mb=resource.getrusage(who).ru_maxrss//1024), default=float))

def instructions():
    "Those of the processor that matter here."
    try: flags = next(o for o in open('/proc/cpuinfo') if o.startswith('flags')).split()
    except (OSError, StopIteration): return ''
    return ' '.join(o for o in ('avx2', 'avx512f', 'avx512_vnni', 'avx512_bf16', 'amx_bf16') if o in flags)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--jobs', nargs='+', choices=JOBS, default=[*JOBS])
    p.add_argument('--turns', type=int, default=1, help='times that each job is run (default: %(default)s)')
    p.add_argument('--slice', type=int, default=300, help="fastai's training images (default: %(default)s)")
    p.add_argument('--job', choices=JOBS, help=argparse.SUPPRESS)
    return p.parse_args()

def main():
    args = arguments()
    if args.job: return work(args.job, args)
    rows = [] if {*args.jobs} == {*JOBS} or not OUT.exists() else pd.read_csv(OUT).to_dict('records')
    for job, figures in median_runs(args).items():
        rows = [o for o in rows if o['job'] != job]
        rows.append(dict(job=job, **figures, instructions=instructions(), **environment()))
        pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.4g')

if __name__ == '__main__': main()
