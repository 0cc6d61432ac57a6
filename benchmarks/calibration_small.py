"""How much can a temperature be trusted that was fitted on few photographs? Write results/calibration_small.csv.

    python benchmarks/calibration_small.py path/to/oxford-iiit-pet

Heads on features of the unchanged body of tf_efficientnet_lite2 at 160 pixels, trained on three fifths of the photographs: as `petpoo train` does, and overfitted to eight photographs a breed.
From the other two fifths `n` are drawn, several times; a temperature is fitted on them, and everything is measured on the rest. The weight of the pseudo-observation (1) and the width of the prior (1)
were chosen from simulated logits and from these tasks, so the figures of the last estimate are not free of that choice. Half the weight has a lower log loss on few photographs, and lets more of them above 99.9%;
twice the width has a higher log loss. Likelihood alone after ten photographs without a mistake puts up to 99.7% of the others above 99.9%; the estimate taken, up to 2.2%."""
import argparse
from pathlib import Path
import numpy as np, pandas as pd, torch
from scipy.optimize import minimize_scalar
from scipy.special import logsumexp
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.classify.calibration import fit_temperature
from petpoo.train.features import get_features
from petpoo.train.phases import head_learner, quick
from petpoo.classify.inference import softmax
from petpoo.train.pipeline import get_dls
from petpoo.train.phases import fit
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'calibration_small.csv'
ARCH, SIZE, SEED = 'tf_efficientnet_lite2', 160, 42
SIX = ['Birman', 'Persian', 'Siamese', 'beagle', 'pug', 'samoyed']
COUNTS = (5, 10, 25, 50, 100, 300, 736)

def likelihood_alone(logits, truth):
    "The temperature under which the truth is most likely, as it was fitted before."
    def loss(u): return (logsumexp(logits/np.exp(u), axis=1) - logits[np.arange(len(truth)), truth]/np.exp(u)).mean()
    return float(np.exp(minimize_scalar(loss, bounds=np.log([0.05, 20]), method='bounded').x))

ESTIMATES = {'none': lambda logits, truth: 1., 'likelihood alone (before)': likelihood_alone, 'rule of succession and prior (taken)': fit_temperature}

def held_out(table, target='label', dropout=0.5, epochs=20):
    "Logits of the held-out photographs, and the truth."
    learn = get_learner(get_dls(table, size=SIZE, target=target, seed=SEED), ARCH, dropout=dropout, seed=SEED)
    head = head_learner(learn)
    with head.no_bar(), head.no_logging(): fit(head, quick(epochs))
    rows = table[table['split'] == 'valid']
    features = torch.tensor(get_features(learn, rows['path'])[:, 0].astype(np.float32))
    with torch.no_grad(): logits = learn.model[1].eval()(features).double().numpy()
    return logits, rows[target].map(learn.dls.spec.classes.index).to_numpy()

def tasks(data):
    "Name -> logits and truth."
    table = split_table(read_table(data), valid=0.4, seed=SEED)
    some = table[table['label'].isin(SIX)].reset_index(drop=True)
    rank = table.groupby(['label', 'split']).cumcount()
    few = table[(rank < 8) | (table['split'] == 'valid')].reset_index(drop=True)
    yield '37 breeds', held_out(table)
    yield 'cat or dog', held_out(table, 'species')
    yield '6 breeds', held_out(some)
    yield '37 breeds, overfitted', held_out(few, dropout=0., epochs=150)
    yield 'cat or dog, overfitted', held_out(few, 'species', dropout=0., epochs=150)

def measure(logits, truth, temperature):
    "Log loss, difference of mean confidence and accuracy, share of photographs above 99.9%."
    probs = softmax(logits, temperature)
    top, right = probs.max(1), probs.argmax(1) == truth
    return dict(temperature=temperature, log_loss=-np.log(probs[np.arange(len(truth)), truth].clip(1e-30)).mean(), gap=abs(top.mean() - right.mean()), above_999=(top > 0.999).mean())

def draws(logits, truth, n, how, seeds):
    "One measurement a seed; `faultless`: no mistake among the photographs that it was fitted on."
    for seed in range(seeds):
        rows = np.random.default_rng(seed).permutation(len(truth))
        fitted, rest = rows[:n], rows[n:]
        faultless = bool((logits[fitted].argmax(1) == truth[fitted]).all())
        yield dict(faultless=faultless, **measure(logits[rest], truth[rest], ESTIMATES[how](logits[fitted], truth[fitted])))

def rows(data):
    for task, (logits, truth) in tasks(data):
        for n in [o for o in COUNTS if o < 0.6*len(truth)]:
            for how in ESTIMATES:
                found = pd.DataFrame(draws(logits, truth, n, how, seeds := 20 if n <= 100 else 5))
                free = found[found.faultless]
                yield dict(task=task, accuracy=(logits.argmax(1) == truth).mean(), fitted_on=n, how=how, seeds=seeds, temperature=found.temperature.median(), log_loss=found.log_loss.mean(), worst_log_loss=found.log_loss.max(),
                    confidence_minus_accuracy=found.gap.mean(), above_999=found.above_999.mean(), faultless=len(free), above_999_if_faultless=free.above_999.max() if len(free) else '', **environment())
            print(task, n, flush=True)

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('data')
    table = pd.DataFrame(rows(parser.parse_args().data))
    with atomic_path(OUT) as p: table.to_csv(p, index=False, float_format='%.4f')
    print(table.pivot_table(index=['task', 'how'], columns='fitted_on', values='log_loss').round(3).to_string())
