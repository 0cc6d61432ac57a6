"""Compare each metric of the report with scikit-learn's and torchmetrics'; write results/metrics_agree.csv.

    pip install torchmetrics
    python benchmarks/metrics_agree.py [--tables 200]

The tables are random, with 1 to 400 rows and 1 to 40 classes: plain ones, ones with tied probabilities, ones with many
classes that have no row, ones of a single class, and ones without a single mistake. Of equal probabilities scikit-learn
takes the last one and petpoo the first, so scikit-learn gets the columns in reverse order."""
import argparse, itertools, warnings
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from sklearn import metrics as skm
from torchmetrics.functional import classification as tm
from petpoo.core import atomic_path, environment
from petpoo.evaluate.metrics import TOP, evaluate
from petpoo.evaluate.predictions import classes_of, predictions_table, probs_of

OUT = Path(__file__).parent.parent/'results'/'metrics_agree.csv'
KINDS = ['plain', 'ties', 'empty classes', 'single class', 'no mistake']

def table(rng, kind):
    n, c = rng.integers(1, 400), 1 if kind == 'single class' and rng.random() < 0.2 else rng.integers(2, 40)
    there = rng.choice(c, {'single class': 1, 'empty classes': max(1, c//3)}.get(kind, c), replace=False)
    truth = rng.choice(there, n)
    probs = rng.dirichlet(np.full(c, 0.5), n)
    top = np.where(rng.random(n) < 0.7, truth, rng.integers(0, c, n))
    probs[np.arange(n), truth if kind == 'no mistake' else top] += 1 if kind == 'no mistake' else rng.random()
    if kind == 'ties': probs = np.ceil(probs*4)
    classes = [f'c{i:02}' for i in range(c)]
    paths, probs = [f'{i}.jpg' for i in range(n)], probs/probs.sum(1, keepdims=True)
    return predictions_table(paths, np.array(classes)[truth], probs, classes)

def of_labels(t, p):
    "scikit-learn's metrics of truth and prediction."
    macro = skm.precision_recall_fscore_support(t, p, average='macro', zero_division=0)[:3]
    return dict(
        accuracy=skm.accuracy_score(t, p), balanced_accuracy=skm.balanced_accuracy_score(t, p),
        matthews_correlation=skm.matthews_corrcoef(t, p),
        macro_precision=macro[0], macro_recall=macro[1], macro_f1=macro[2])

def top_accuracy(t, q, classes):
    "In reverse order of the classes."
    codes = len(classes) - 1 - t.map(classes.index)
    return skm.top_k_accuracy_score(codes, q[:, ::-1], k=TOP, labels=range(len(classes)))

def brier_score(t, q, classes):
    "Halved, as scikit-learn does for two classes."
    if len(classes) == 2: return skm.brier_score_loss(t == classes[0], q[:, 0])
    return skm.brier_score_loss(t, q, labels=classes, scale_by_half=True)

def one_against_rest(score, df, classes):
    "Mean over the classes that have rows and are not all rows."
    t, both = df.truth, classes[:1] if len(classes) == 2 else classes
    rest = [o for o in both if 0 < (t == o).sum() < len(t)]
    return np.mean([score(t == o, df[f'p_{o}']) for o in rest]) if rest else np.nan

def by_sklearn(df):
    "Metric -> value."
    t, classes, q = df.truth, classes_of(df), probs_of(df)
    out = of_labels(t, df.predicted)
    if len(classes) > TOP: out[f'top_{TOP}_accuracy'] = top_accuracy(t, q, classes)
    if len(classes) > 1:
        out['log_loss'] = skm.log_loss(t, q, labels=classes)
        out['brier_score'] = brier_score(t, q, classes)
    for name, score in dict(roc_auc=skm.roc_auc_score, average_precision=skm.average_precision_score).items():
        out[name] = one_against_rest(score, df, classes)
    return out

def by_torchmetrics(df):
    "Its bins hold their lower edge and petpoo's the upper one, so tables with a confidence on an edge are left out."
    classes, q = classes_of(df), probs_of(df)
    if len(classes) < 3 or np.isclose(q.max(1)*15, np.round(q.max(1)*15), atol=1e-4).any(): return {}
    target = torch.tensor(df.truth.map(classes.index).to_numpy())
    error = tm.multiclass_calibration_error(torch.tensor(q), target, len(classes), n_bins=15)
    return dict(calibration_error=error.item())

def by_bins(df):
    "The calibration error as C. Guo et al. (2017) define it, bin by bin."
    top, right, error = probs_of(df).max(1), (df.truth == df.predicted).to_numpy(), 0
    for i in range(15):
        inside = (top > i/15) & (top <= (i + 1)/15)
        if inside.any(): error += inside.mean()*abs(right[inside].mean() - top[inside].mean())
    return dict(calibration_error=error)

def differences(df):
    "A row for each metric and reference."
    with warnings.catch_warnings():
        warnings.simplefilter('error') # of petpoo's own
        report = evaluate(df, n_boot=0)
    for judge, by in dict(scikit_learn=by_sklearn, torchmetrics=by_torchmetrics, definition=by_bins).items():
        for metric, value in by(df).items():
            both = np.isnan(value) and np.isnan(report[metric])
            difference = 0. if both else abs(report[metric] - value)
            yield dict(metric=metric, reference=judge, undefined=both, difference=difference)

def measure(n):
    "Rows of all tables."
    rng = np.random.default_rng(0)
    for kind in itertools.islice(itertools.cycle(KINDS), n):
        for row in differences(table(rng, kind)): yield dict(kind=kind, **row)

def summary(rows):
    "The largest difference for each metric and reference."
    groups = pd.DataFrame(rows).groupby(['metric', 'reference'], sort=False)
    return groups.agg(
        tables=('difference', 'size'), undefined_in_both=('undefined', 'sum'),
        max_abs_difference=('difference', 'max')).reset_index()

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--tables', type=int, default=200)
    args = p.parse_args()
    warnings.filterwarnings('ignore', module='sklearn') # of classes without a row, and sums that are 1 to six digits
    found = summary(measure(args.tables))
    versions = environment(('petpoo', 'numpy', 'scikit-learn', 'torchmetrics', 'torch'))
    with atomic_path(OUT) as path: found.assign(**versions).to_csv(path, index=False, float_format='%.3g')
    print(found.to_string())

if __name__ == '__main__': main()
