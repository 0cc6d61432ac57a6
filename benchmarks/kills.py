"""Kill train, export, audit, evaluate and a correction at random moments; write results/kills.csv. Exit code 1 if anything is lost or left behind.

    python benchmarks/kills.py [--kills 60] [--seed 0] [--only train ...]

Rows of commands that are not named stay in the file. Each command runs once to its end, which says how long it takes and what it writes. Then it is killed (SIGKILL) at a moment drawn from that time,
and run again, a training with --resume. Checked after the kill: what is at the target is whole, or nothing is. Checked after the second run: it
succeeds, nothing hidden is left beside the target or among the temporary files, and a resumed training has the weights of the first."""
import argparse, json, os, random, shutil, signal, subprocess, sys, tempfile, time
from pathlib import Path
import pandas as pd
from petpoo.classify.bundle import read_config
from petpoo.core import PetpooError, atomic_path, environment, sha256
from petpoo.sample.faults import draw_pets

OUT = Path(__file__).parent.parent/'results'/'kills.csv'
CLI = [sys.executable, '-c', 'import sys; from petpoo.cli import main; sys.exit(main())']
TRAIN = '--recipe baseline --arch mobilenetv3_small_050 --size 64 --epochs 3 --batch-size 16 --target species --seed 3'.split()
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
        self.env = os.environ | dict(TMPDIR=str(self.tmp), PETPOO_CACHE=str(work/'cache'), OMP_NUM_THREADS='1', PYTHONWARNINGS='ignore')

    def start(self, command): return subprocess.Popen(command, env=self.env, cwd=self.work, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True)

    def finish(self, command):
        "Run to the end; seconds, and the last line of an error."
        began = time.perf_counter()
        _, errors = (run := self.start(command)).communicate()
        return time.perf_counter() - began, '' if run.returncode == 0 else (errors.decode().strip().splitlines() or ['?'])[-1]

    def kill(self, command, seconds):
        run = self.start(command)
        time.sleep(seconds)
        os.killpg(run.pid, signal.SIGKILL)
        run.communicate()

    def litter(self):
        "Hidden leftovers anywhere, and whatever is among the temporary files."
        found = [o for o in self.work.rglob('.*') if 'petpoo-' in o.name and self.tmp not in o.parents]
        of_ours = [o for o in self.tmp.iterdir() if not o.name.startswith('torchinductor')] # PyTorch keeps a cache there
        return [str(o.relative_to(self.work)) for o in (*found, *of_ours)]

def whole(folder):
    "What is wrong with the files in a folder, none of which may be half written."
    wrong = []
    for file in [o for o in folder.rglob('*') if o.is_file() and not any(p.startswith('.') for p in o.relative_to(folder).parts)]:
        try:
            if file.name == 'config.json': read_config(file.parent)
            elif file.suffix == '.json': json.loads(file.read_text())
            elif file.suffix == '.csv': pd.read_csv(file)
            elif file.suffix == '.html': assert file.read_text().rstrip().endswith('</html>')
            elif file.suffix == '.pth':
                import torch
                torch.load(file, weights_only=True)
            elif file.suffix in ('.png', '.jpg'):
                from petpoo.image import read_image
                read_image(file)
        except (PetpooError, ValueError, AssertionError, RuntimeError, EOFError) as e: wrong.append(f'{file.name}: {str(e)[:80]}')
    return wrong

def cases(bench):
    "name -> (command for a target folder, command to take it up again)."
    run = bench.work/'finished'
    bench.finish([*CLI, 'train', '--data', bench.data, '--out', run, *TRAIN])
    train = lambda out: [*CLI, 'train', '--data', bench.data, '--out', out, *TRAIN]
    again = lambda out: [*CLI, 'train', '--resume', out] if (out/'settings.json').exists() else train(out)
    evaluate = lambda out: [*CLI, 'evaluate', run, bench.data, '--out', out]
    export = lambda out: [*CLI, 'export', run, '--out', out]
    done = lambda out: [*CLI, 'info', out] if out.exists() else export(out) # a bundle that is there is whole, and not replaced
    same = dict(audit=lambda out: [*CLI, 'audit', bench.data, '--out', out],
                correction=lambda out: [sys.executable, '-c', CORRECT, out])
    kept = lambda out: [*CLI, 'evaluate', run, found, '--out', out] if (found := out/'predictions.csv').exists() else evaluate(out) # it is never replaced
    return dict(train=(train, again), evaluate=(evaluate, kept), export=(export, done)) | {k: (v, v) for k, v in same.items()}

def weights(out): return sha256(out/'bundle'/'weights.safetensors') if (out/'bundle'/'weights.safetensors').exists() else ''

def one(bench, name, commands, seconds, expected):
    "Kill at that moment, look, run again, look."
    out = bench.work/f'target-{name}'
    shutil.rmtree(out, ignore_errors=True)
    command, again = commands
    bench.kill(command(out), seconds)
    half = whole(out) if out.exists() else []
    _, error = bench.finish(again(out))
    left = bench.litter()
    for o in bench.tmp.iterdir(): shutil.rmtree(o, ignore_errors=True) if o.is_dir() else o.unlink()
    same = name != 'train' or weights(out) == expected
    return dict(command=name, killed_after=round(seconds, 2), half_written='; '.join(half), error_of_second_run=error, same_weights=same if name == 'train' else '',
                left_behind='; '.join(left)[:200], good=not half and not error and same and not left)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--kills', type=int, default=60); p.add_argument('--seed', type=int, default=0); p.add_argument('--only', nargs='+')
    args = p.parse_args()
    rng, bad = random.Random(args.seed), 0
    with tempfile.TemporaryDirectory() as work:
        bench = Bench(Path(work))
        found = cases(bench)
        for name in args.only or found:
            out, rows = bench.work/f'target-{name}', []
            took, error = bench.finish(found[name][0](out))
            expected = weights(out) if name == 'train' else ''
            print(f'{name} takes {took:.1f} s {error}', flush=True)
            for _ in range(args.kills//len(found)):
                rows.append(one(bench, name, found[name], rng.uniform(0.1, took), expected) | dict(seconds_whole=round(took, 1), seed=args.seed) | environment())
                print({k: rows[-1][k] for k in ('command', 'killed_after', 'half_written', 'error_of_second_run', 'same_weights', 'left_behind', 'good')}, flush=True)
            bad += sum(not o['good'] for o in rows)
            old = pd.read_csv(OUT) if OUT.exists() else pd.DataFrame(columns=['command'])
            with atomic_path(OUT) as path: pd.concat([old[old.command != name], pd.DataFrame(rows)]).to_csv(path, index=False)
    return bad > 0

if __name__ == '__main__': raise SystemExit(main())
