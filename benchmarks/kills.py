"""Kill train, export, audit, evaluate and a correction at random moments; write results/kills.csv.

    python benchmarks/kills.py [--kills 60] [--seed 0] [--only train ...]

Each command first runs to its end, which gives its duration and what it writes. Then it is killed (SIGKILL) at a random
moment of that duration and run again, a training with --resume. After the kill, the target must be whole or not there.
After the second run, the command has succeeded, nothing hidden is left beside the target or among the temporary files,
and a resumed training has the weights of the uninterrupted one. Rows of commands that are not named stay in the file.
The exit code is 1 if anything is lost or left behind."""
import argparse, json, os, random, shutil, signal, subprocess, sys, tempfile, time
from pathlib import Path
import pandas as pd
import torch
from petpoo.classify.bundle import read_config
from petpoo.core import PetpooError, atomic_path, environment, sha256
from petpoo.image import read_image
from petpoo.sample.faults import draw_pets

OUT = Path(__file__).parent.parent/'results'/'kills.csv'
CLI = [sys.executable, '-c', 'import sys; from petpoo.cli import main; sys.exit(main())']
TRAIN = [
    '--recipe', 'baseline', '--arch', 'mobilenetv3_small_050', '--size', '64', '--epochs', '3', '--batch-size', '16',
    '--target', 'species', '--seed', '3']
CORRECT = """
import sys
from PIL import Image
from petpoo.serve.feedback import Feedback
kept = Feedback(sys.argv[1])
for i in range(200): kept.add(Image.new('RGB', (64, 64), (i, 255 - i, 40)), 'pug')
"""

class Bench:
    "Drawn photos, a finished run, and a temporary folder of its own for every process."
    def __init__(self, work):
        self.work, self.tmp, self.data = work, work/'tmp', work/'pets'
        self.tmp.mkdir()
        draw_pets(self.data, n=37, size=96, seed=0)
        self.env = os.environ | dict(
            TMPDIR=str(self.tmp), PETPOO_CACHE=str(work/'cache'), OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore')

    def start(self, command):
        return subprocess.Popen(
            command, env=self.env, cwd=self.work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            start_new_session=True)

    def finish(self, command):
        "Run to the end; returns the seconds, and the last line of an error."
        began, run = time.perf_counter(), self.start(command)
        _, errors = run.communicate()
        lines = errors.decode().strip().splitlines() or ['?']
        return time.perf_counter() - began, lines[-1] if run.returncode else ''

    def kill(self, command, seconds):
        run = self.start(command)
        time.sleep(seconds)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()

    def litter(self):
        "Hidden leftovers anywhere, and whatever is among the temporary files."
        found = [o for o in self.work.rglob('.*') if 'petpoo-' in o.name and self.tmp not in o.parents]
        of_ours = [o for o in self.tmp.iterdir() if not o.name.startswith('torchinductor')] # PyTorch's own cache
        return [str(o.relative_to(self.work)) for o in (*found, *of_ours)]

def check(file):
    "Read a file as what it is; raises an error if it is half written."
    if file.name == 'config.json': read_config(file.parent)
    elif file.suffix == '.json': json.loads(file.read_text())
    elif file.suffix == '.csv': pd.read_csv(file)
    elif file.suffix == '.html': assert file.read_text().rstrip().endswith('</html>')
    elif file.suffix == '.pth': torch.load(file, weights_only=True)
    elif file.suffix in ('.png', '.jpg'): read_image(file)

def whole(folder):
    "What is wrong with the files in a folder, none of which may be half written."
    wrong = []
    for file in (o for o in folder.rglob('*') if o.is_file()):
        if any(o.startswith('.') for o in file.relative_to(folder).parts): continue
        try: check(file)
        except (PetpooError, ValueError, AssertionError, RuntimeError, EOFError) as e:
            wrong.append(f'{file.name}: {str(e)[:80]}')
    return wrong

def cases(bench):
    "Name -> (command for a target folder, command to run after a kill)."
    run = bench.work/'finished'
    def train(out): return [*CLI, 'train', '--data', bench.data, '--out', out, *TRAIN]
    def resume(out): return [*CLI, 'train', '--resume', out] if (out/'settings.json').exists() else train(out)
    def export(out): return [*CLI, 'export', run, '--out', out]
    def info(out): return [*CLI, 'info', out] if out.exists() else export(out) # a bundle is never replaced
    def evaluate(out, data=bench.data): return [*CLI, 'evaluate', run, data, '--out', out]
    def compare(out): # predictions are never replaced
        return evaluate(out, found) if (found := out/'predictions.csv').exists() else evaluate(out)
    def audit(out): return [*CLI, 'audit', bench.data, '--out', out]
    def correction(out): return [sys.executable, '-c', CORRECT, out]
    bench.finish(train(run))
    return dict(
        train=(train, resume), evaluate=(evaluate, compare), export=(export, info), audit=(audit, audit),
        correction=(correction, correction))

def weights(out):
    "A hash of the trained weights."
    file = out/'bundle'/'weights.safetensors'
    return sha256(file) if file.exists() else ''

def clear(folder):
    "Remove what is in a folder."
    for o in folder.iterdir():
        if o.is_dir(): shutil.rmtree(o, ignore_errors=True)
        else: o.unlink()

def one(bench, name, commands, seconds, expected):
    "Kill after some seconds, check, run again, check."
    out, (command, again) = bench.work/f'target-{name}', commands
    shutil.rmtree(out, ignore_errors=True)
    bench.kill(command(out), seconds)
    half = whole(out) if out.exists() else []
    _, error = bench.finish(again(out))
    left = bench.litter()
    clear(bench.tmp)
    same = name != 'train' or weights(out) == expected
    return dict(
        command=name, killed_after=round(seconds, 2), half_written='; '.join(half), error_of_second_run=error,
        same_weights=same if name == 'train' else '', left_behind='; '.join(left)[:200],
        good=not half and not error and same and not left)

def measure(bench, name, commands, kills, rng, seed):
    "Rows of one command."
    out = bench.work/f'target-{name}'
    took, error = bench.finish(commands[0](out))
    expected = weights(out) if name == 'train' else ''
    print(f'{name} takes {took:.1f} s {error}', flush=True)
    for _ in range(kills):
        row = one(bench, name, commands, rng.uniform(0.1, took), expected)
        print(row, flush=True)
        yield row | dict(seconds_whole=round(took, 1), seed=seed) | environment()

def write(rows, name):
    "Put the rows of a command in place of its older ones."
    old = pd.read_csv(OUT) if OUT.exists() else pd.DataFrame(columns=['command'])
    table = pd.concat([old[old.command != name], pd.DataFrame(rows)])
    with atomic_path(OUT) as path: table.to_csv(path, index=False)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--kills', type=int, default=60, help='of all commands together (default: %(default)s)')
    p.add_argument('--seed', type=int, default=0, help='of the moments (default: %(default)s)')
    p.add_argument('--only', nargs='+', help='some of the commands')
    return p.parse_args()

def main():
    args, good = arguments(), True
    rng = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(Path(work))
        found = cases(bench)
        for name in args.only or found:
            rows = list(measure(bench, name, found[name], args.kills//len(found), rng, args.seed))
            good &= all(o['good'] for o in rows)
            write(rows, name)
    return not good

if __name__ == '__main__': raise SystemExit(main())
