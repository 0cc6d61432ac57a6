"""Measure images a second of a body and of training steps, with and without each speed-up; write results/speed.csv.

    python benchmarks/speed.py [--arch tf_efficientnet_lite2] [--batches 6] [--only "body,all layers"]

The speed-ups are channels-last memory, bfloat16, frozen statistics and the allocator setting. The last one holds for a
whole process, so the script runs itself a second time for it. All rates come from one call, on random pictures."""
import argparse, itertools, resource, subprocess, sys, time
from pathlib import Path
import pandas as pd, torch
from torch import nn
from petpoo.core import environment
from petpoo.train.models import make_body, make_head, native_size, split_model
from petpoo.train.training import keep_memory

OUT = Path(__file__).parent.parent/'results'/'speed.csv'

WHAT = { # -> the first group of parameters that learns, None for prediction
    'body': None, 'head': 2, 'last stages': 1, 'all layers': 0}

def prepare(model, groups, learns, channels_last, frozen_statistics):
    "Set memory format, mode and gradients."
    training = learns is not None
    model.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    model.train(training)
    for i, group in enumerate(groups):
        for p in group: p.requires_grad_(training and i >= learns)
    for o in model[0].modules():
        if isinstance(o, nn.BatchNorm2d): o.train(training and not frozen_statistics)

def step(model, x, y, training, bf16):
    "A forward pass, and a backward pass in training."
    with torch.set_grad_enabled(training), torch.autocast('cpu', torch.bfloat16, enabled=bf16):
        loss = nn.functional.cross_entropy(model(x).float(), y)
    if not training: return
    loss.backward()
    model.zero_grad()

def best_rate(batches, n, f, *args):
    "Images a second in the fastest of some steps with `n` images."
    seconds = []
    for _ in range(batches):
        began = time.perf_counter()
        f(*args)
        seconds.append(time.perf_counter() - began)
    return n/min(seconds)

def networks(arch, only):
    "Yield what is measured, its network, the groups of parameters and a batch."
    body = make_body(arch)[0]
    model = nn.Sequential(body, make_head(body.num_features, 37))
    groups, x = split_model(model), torch.rand(32, 3, *native_size(arch))
    for what in only: yield what, model, groups, x

def combinations(training):
    "Channels last, bfloat16, frozen statistics; the last one matters in training only."
    return itertools.product((False, True), (False, True), (False, True) if training else (False,))

def measure(arch, batches, keep, only):
    "A row for each network and each combination of speed-ups."
    if keep: keep_memory()
    rows, y = [], torch.randint(0, 37, (32,))
    for what, model, groups, x in networks(arch, only):
        learns = WHAT[what]
        training = learns is not None
        for channels_last, bf16, frozen in combinations(training):
            prepare(model, groups, learns, channels_last, frozen)
            rate = best_rate(batches, len(x), step, model, x, y, training, bf16)
            rows.append(dict(
                arch=arch, what=what, channels_last=channels_last, bf16=bf16, frozen_statistics=frozen,
                keep_memory=keep, images_per_second=round(rate, 1), peak_mb=peak(), **environment()))
            print(*list(rows[-1].values())[:7], flush=True)
    return pd.DataFrame(rows)

def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024

def write(rows, keep):
    "Put rows in place of older ones of the same kind."
    if OUT.exists():
        old = pd.read_csv(OUT)
        rows = pd.concat([old[~(old.what.isin(rows.what) & (old.keep_memory == keep))], rows])
    rows.to_csv(OUT, index=False)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--arch', default='tf_efficientnet_lite2')
    p.add_argument('--batches', type=int, default=6, help='the fastest one counts (default: %(default)s)')
    p.add_argument('--keep', action='store_true', help='with the allocator setting, and nothing else')
    p.add_argument('--only', default=','.join(WHAT), help='separated by commas (default: %(default)s)')
    return p.parse_args()

def main():
    args = arguments()
    write(measure(args.arch, args.batches, args.keep, args.only.split(',')), args.keep)
    if not args.keep: subprocess.run([sys.executable, *sys.argv, '--keep'], check=True)

if __name__ == '__main__': main()
