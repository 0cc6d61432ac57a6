"""Images a second of a body and of training steps, the ways to speed them up switched on one by one; write results/speed.csv.

    python benchmarks/speed.py [--arch tf_efficientnet_lite2] [--batches 6] [--only "body,all layers"]

The allocator setting holds for a whole process, so the script runs itself a second time for it. All figures come from one call, back to back."""
import argparse, resource, subprocess, sys, time
from pathlib import Path
from types import SimpleNamespace
import pandas as pd, torch
from torch import nn
from petpoo.core import environment
from petpoo.train.heads import split_body
from petpoo.train.models import make_body, make_head, native_size, split_model
from petpoo.train.training import keep_memory

OUT = Path(__file__).parent.parent/'results'/'speed.csv'

def steps(model, groups, learns, x, y, channels_last, bf16, frozen_statistics, batches):
    "The best rate of a few steps; `learns` is the first group of parameters that learns, None for prediction."
    model.to(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
    model.train(learns is not None)
    for i, group in enumerate(groups):
        for p in group: p.requires_grad_(learns is not None and i >= learns)
    for o in model[0].modules():
        if isinstance(o, nn.BatchNorm2d): o.train(learns is not None and not frozen_statistics)
    seconds = []
    for _ in range(batches):
        began = time.perf_counter()
        with torch.set_grad_enabled(learns is not None), torch.autocast('cpu', torch.bfloat16, enabled=bf16): loss = nn.functional.cross_entropy(model(x).float(), y)
        if learns is not None: loss.backward(); model.zero_grad()
        seconds.append(time.perf_counter() - began)
    return len(x)/min(seconds)

def on_maps(body, arch):
    "The last stages and the head as a network of its own, and a batch of what the early layers give it."
    learner = SimpleNamespace(model=body, splitter=split_model, arch=arch, dls=SimpleNamespace(spec=SimpleNamespace(size=native_size(arch))))
    early, late = split_body(learner)
    with torch.no_grad(): return nn.Sequential(late, body[1]), early(torch.rand(32, 3, *native_size(arch)))

WHAT = {'body': None, 'head': 2, 'last stages': 1, 'all layers': 0, 'last stages on maps': 0} # -> the first group that learns

def measure(arch, batches, keep, only):
    if keep: keep_memory()
    body = make_body(arch)[0]
    model = nn.Sequential(body, make_head(body.num_features, 37))
    groups = split_model(model)
    x, y = torch.rand(32, 3, *native_size(arch)), torch.randint(0, 37, (32,))
    rows = []
    for what, learns in [(o, WHAT[o]) for o in only]:
        if what == 'last stages on maps': (model, x), groups = on_maps(model, arch), [list(model.parameters())]
        for channels_last in (False, True):
            for bf16 in (False, True):
                for frozen in (False, True) if learns is not None else (False,):
                    rate = steps(model, groups, learns, x, y, channels_last, bf16, frozen, batches)
                    rows.append(dict(arch=arch, what=what, channels_last=channels_last, bf16=bf16, frozen_statistics=frozen, keep_memory=keep, images_per_second=round(rate, 1),
                                     peak_mb=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss//1024, **environment()))
                    print(*list(rows[-1].values())[:7], flush=True)
    return pd.DataFrame(rows)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--arch', default='tf_efficientnet_lite2'); p.add_argument('--batches', type=int, default=6); p.add_argument('--keep', action='store_true'); p.add_argument('--only', default=','.join(WHAT))
    args = p.parse_args()
    rows = measure(args.arch, args.batches, args.keep, args.only.split(','))
    if OUT.exists():
        old = pd.read_csv(OUT)
        rows = pd.concat([old[~(old.what.isin(rows.what) & (old.keep_memory == args.keep))], rows])
    rows.to_csv(OUT, index=False)
    if not args.keep: subprocess.run([sys.executable, *sys.argv, '--keep'], check=True)

if __name__ == '__main__': main()
