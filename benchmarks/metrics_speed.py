"""Measure time and memory of an evaluation of up to a million made-up predictions; write results/metrics_speed.csv.

    OMP_NUM_THREADS=1 python benchmarks/metrics_speed.py

Times are seconds of processor time of one thread, memory is the peak of the process."""
import resource, sys, tempfile, time
from pathlib import Path
import numpy as np
import pandas as pd
from petpoo.core import atomic_path, environment
from petpoo.evaluate.metrics import evaluate
from petpoo.evaluate.predictions import predictions_table, read_predictions, save_predictions

OUT = Path(__file__).parent.parent/'results'/'metrics_speed.csv'
SIZES = 3_669, 100_000, 1_000_000 # rows; the first is Oxford's test list

def timed(f, *args, **kwargs):
    "The result, and the seconds of processor time, which other work on the machine does not stretch."
    start = time.process_time()
    result = f(*args, **kwargs)
    return result, round(time.process_time() - start, 2)

def peak():
    "Peak memory of this process in GiB."
    unit = 2**30 if sys.platform == 'darwin' else 2**20
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/unit, 2)

def made_up(n, c):
    "Paths, truth, probabilities and classes of `n` photos, 90% of them with a correct prediction."
    rng = np.random.default_rng(0)
    truth, probs = rng.integers(0, c, n), rng.random((n, c), dtype=np.float32)
    top = np.where(rng.random(n) < 0.9, truth, rng.integers(0, c, n))
    probs[np.arange(n), top] += c
    classes = [f'breed {i:02}' for i in range(c)]
    return [f'photos/{i}.jpg' for i in range(n)], np.array(classes)[truth], probs/probs.sum(1, keepdims=True), classes

def measure(n, c):
    "Seconds of each step, and the peak memory until its end, with the building of the table."
    df, build = timed(predictions_table, *made_up(n, c))
    _, plain = timed(evaluate, df, n_boot=0)
    row = dict(rows=n, classes=c, build_s=build, evaluate_s=plain, peak_gib=peak())
    _, row['evaluate_1000_draws_s'] = timed(evaluate, df)
    row['peak_1000_draws_gib'] = peak()
    with tempfile.TemporaryDirectory() as folder:
        csv = Path(folder)/'predictions.csv'
        _, row['save_s'] = timed(save_predictions, df, csv)
        _, row['read_s'] = timed(read_predictions, csv)
        return row | dict(csv_mib=round(csv.stat().st_size / 2**20, 1))

def main():
    versions = environment(('petpoo', 'numpy', 'pandas', 'scipy', 'scikit-learn'))
    table = pd.DataFrame([measure(n, 37) | versions for n in SIZES])
    with atomic_path(OUT) as path: table.to_csv(path, index=False)
    print(table.T.to_string())

if __name__ == '__main__': main()
