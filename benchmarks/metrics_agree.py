"""Does every figure of the report equal scikit-learn's and torchmetrics'? Writes results/metrics_agree.csv.

    pip install torchmetrics
    python benchmarks/metrics_agree.py [--tables 200]

Random tables of 1 to 400 rows and 1 to 40 classes: plain ones, ones with tied probabilities, ones with many classes that have no row, ones of a single class,
and ones without a single mistake. scikit-learn takes the last of equal probabilities where petpoo takes the first, so it gets the columns from last to first."""
import argparse, warnings
from pathlib import Path
import numpy as np
import pandas as pd
import torch
from sklearn import metrics as skm
from torchmetrics.functional import classification as tm
from petpoo.core import atomic_path, environment
from petpoo.evaluate.metrics import TOP, evaluate
from petpoo.evaluate.predictions import classes_of, predictions_table, probs_of

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
    return predictions_table([f'{i}.jpg' for i in range(n)], np.array(classes)[truth], probs/probs.sum(1, keepdims=True), classes)

def by_sklearn(df):
    t, p, classes, q = df.truth, df.predicted, classes_of(df), probs_of(df)
    macro = skm.precision_recall_fscore_support(t, p, average='macro', zero_division=0)[:3]
    out = dict(accuracy=skm.accuracy_score(t, p), balanced_accuracy=skm.balanced_accuracy_score(t, p), matthews_correlation=skm.matthews_corrcoef(t, p),
        macro_precision=macro[0], macro_recall=macro[1], macro_f1=macro[2])
    if len(classes) > TOP: out[f'top_{TOP}_accuracy'] = skm.top_k_accuracy_score(len(classes) - 1 - t.map(classes.index), q[:, ::-1], k=TOP, labels=range(len(classes)))
    if len(classes) > 1:
        out['log_loss'] = skm.log_loss(t, q, labels=classes)
        out['brier_score'] = skm.brier_score_loss(t, q, labels=classes, scale_by_half=True) if len(classes) > 2 else skm.brier_score_loss(t == classes[0], q[:, 0])
    rest = [o for o in (classes[:1] if len(classes) == 2 else classes) if 0 < (t == o).sum() < len(t)]
    for name, score in dict(roc_auc=skm.roc_auc_score, average_precision=skm.average_precision_score).items():
        out[name] = np.mean([score(t == o, df[f'p_{o}']) for o in rest]) if rest else np.nan
    return out

def by_torchmetrics(df):
    "Its bins hold their lower edge and those here the upper one, so tables with a confidence on an edge are left out."
    classes, q = classes_of(df), probs_of(df)
    if len(classes) < 3 or np.isclose(q.max(1)*15, np.round(q.max(1)*15), atol=1e-4).any(): return {}
    target = torch.tensor(df.truth.map(classes.index).to_numpy())
    return dict(calibration_error=tm.multiclass_calibration_error(torch.tensor(q), target, len(classes), n_bins=15).item())

def by_bins(df):
    "The calibration error as C. Guo et al. (2017) define it, bin by bin."
    top, right, error = probs_of(df).max(1), (df.truth == df.predicted).to_numpy(), 0
    for i in range(15):
        inside = (top > i/15) & (top <= (i + 1)/15)
        if inside.any(): error += inside.mean()*abs(right[inside].mean() - top[inside].mean())
    return dict(calibration_error=error)

def differences(df):
    with warnings.catch_warnings():
        warnings.simplefilter('error') # of petpoo's own
        report = evaluate(df, n_boot=0)
    for judge, by in dict(scikit_learn=by_sklearn, torchmetrics=by_torchmetrics, definition=by_bins).items():
        for metric, value in by(df).items():
            both = np.isnan(value) and np.isnan(report[metric])
            yield dict(metric=metric, reference=judge, undefined=both, difference=0. if both else abs(report[metric] - value))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--tables', type=int, default=200)
    n, rng, found = p.parse_args().tables, np.random.default_rng(0), []
    warnings.filterwarnings('ignore', module='sklearn') # classes that have no row; sums that are 1 to six digits
    for i in range(n): found += [dict(kind=KINDS[i % len(KINDS)], **o) for o in differences(table(rng, KINDS[i % len(KINDS)]))]
    t = pd.DataFrame(found)
    out = t.groupby(['metric', 'reference'], sort=False).agg(tables=('difference', 'size'), undefined_in_both=('undefined', 'sum'), max_abs_difference=('difference', 'max')).reset_index()
    versions = environment(('petpoo', 'numpy', 'scikit-learn', 'torchmetrics', 'torch'))
    with atomic_path(Path(__file__).parents[1]/'results'/'metrics_agree.csv') as tmp: out.assign(**versions).to_csv(tmp, index=False, float_format='%.3g')
    print(out.to_string())

if __name__ == '__main__': main()
