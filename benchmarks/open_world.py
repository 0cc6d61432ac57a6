"""Compare gates, the rules by which a classifier decides to name a breed; write results/open_world.csv.

    python benchmarks/open_world.py path/to/oxford-iiit-pet --pets everyday,other-source --breeds other-breeds \\
        --wild wild [--earlier BUNDLE]

Features are those of the shipped classifier (benchmarks/ship.py). All layers are fitted five times without a fifth of
the photographs and of the other animals. For each gate, the threshold is the one that names 85% or 90% of the Oxford
photographs; the file says how many of the named are right, and how many other animals get a breed. `taken` marks the
gate of `petpoo.train.pet_regression`. On two cores, with cached features, it takes some ten minutes."""
import argparse
from pathlib import Path
import numpy as np, pandas as pd
from scipy.special import log_softmax, softmax
from sklearn.covariance import LedoitWolf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from ship import ARCH, ROOT, SEED, VIEWS, folders, grouped, learner, photos
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.learner import load_classifier
from petpoo.train.evidence import Evidence
from petpoo.train.features import get_features

NAMED = 0.85, 0.9 # shares of the Oxford photographs

def regression(x, y, n, weights=None, C=3e-3):
    "Logits of a regularised regression on standardised features."
    mean, std = x.mean(0), x.std(0) + 1e-3
    model = LogisticRegression(C=C, max_iter=150, tol=1e-3).fit((x - mean)/std, y, sample_weight=weights)
    return lambda q: np.pad(((q - mean)/std) @ model.coef_.T + model.intercept_, ((0, 0), (0, n - len(model.classes_))))

class Distances:
    "Cosine to the nearest photographs, and the relative Mahalanobis distance (Ren et al. 2021)."
    def __init__(self, x, y):
        self.unit, self.mean = self.of_length_one(x), x.mean(0)
        self.means = np.stack([x[y == k].mean(0) for k in range(y.max() + 1)])
        self.within, self.all = (LedoitWolf().fit(o).precision_ for o in (x - self.means[y], x - self.mean))
    @staticmethod
    def of_length_one(x): return x/np.linalg.norm(x, axis=1, keepdims=True)
    def nearest(self, q): return np.sort(np.partition(self.of_length_one(q) @ self.unit.T, -5, 1)[:, -5:], 1).mean(1)
    def relative(self, q):
        "Larger for photographs like those of a class."
        far = [np.einsum('nd,de,ne->n', q - m, self.within, q - m, optimize=True) for m in self.means]
        return np.einsum('nd,de,ne->n', q - self.mean, self.all, q - self.mean, optimize=True) - np.min(far, 0)

def agreement(profile, means, label):
    "The cosine of a photograph's profile and the mean one of the answered breed."
    unit = lambda o: o/np.linalg.norm(o, axis=1, keepdims=True)
    return (unit(profile)*unit(means)[label]).sum(1)

def kind_of(evidence, x):
    "0 for a cat, 1 for a dog, 2 for neither."
    g = evidence.groups(evidence.logits(x))
    return np.stack([g[:, 0], g[:, 1], g[:, 2:].max(1)], 1).argmax(1)

def scores(x, y, train, q, others, evidence, means, profile):
    "Name -> score of the photographs `q`, by layers fitted to `train` and `others`; and the answered classes."
    n, flat, classes = len(means), x[train].reshape(-1, x.shape[2]), np.repeat(y[train], x.shape[1])
    plain, more = regression(flat, classes, n), others.reshape(-1, others.shape[2])
    kinds = n + kind_of(evidence, more)
    weights = np.repeat([1, len(flat)/len(more)], [len(flat), len(more)])
    open_ = regression(np.concatenate([flat, more]), np.concatenate([classes, kinds]), n + 3, weights)(q)
    alone, label = plain(q), open_[:, :n].argmax(1)
    p, seen = log_softmax(open_[:, :n], 1).max(1), np.log(agreement(profile, means, label) + 1e-4)
    none_other = np.log(softmax(open_, 1)[:, :n].sum(1) + 1e-9)
    far = Distances(x[train, 0], y[train])
    return label, {
        'largest probability, without other animals': log_softmax(alone, 1).max(1),
        'largest probability': p, 'probability x agreement': p + seen, 'probability x (1 - other)': p + none_other,
        'probability x agreement x (1 - other)': p + seen + none_other,
        'probability^1.5 x agreement x (1 - other), taken': 1.5*p + seen + none_other,
        'probability^2 x agreement x (1 - other)': 2*p + seen + none_other,
        'cosine to the nearest photographs': far.nearest(q), 'relative Mahalanobis distance': far.relative(q)}

def out_of_fold(x, y, groups, others, evidence):
    "Answered class and scores for all photographs and all other animals."
    folds = StratifiedGroupKFold(5, shuffle=True, random_state=SEED).split(y, y, groups)
    part, everything = np.random.default_rng(SEED).permutation(len(others)) % 5, np.concatenate([x, others])
    profile = evidence.profile(evidence.logits(everything[:, 0]))
    found, labels = {}, np.zeros(len(everything), int)
    for k, (train, held) in enumerate(folds):
        means = np.stack([profile[train][y[train] == c].mean(0) for c in range(y.max() + 1)])
        rows = np.concatenate([held, len(x) + np.flatnonzero(part == k)])
        label, some = scores(x, y, train, everything[rows, 0], others[part != k], evidence, means, profile[rows])
        labels[rows] = label
        for name, score in some.items(): found.setdefault(name, np.zeros(len(everything)))[rows] = score
    return labels, found

def share(hits):
    low, high = wilson_interval(int(np.sum(hits)), len(hits))
    return dict(value=float(np.mean(hits)), low=low, high=high, n=len(hits))

def rows_of(labels, found, y, where):
    "Rows of the table; `where` is folder -> rows of the other animals."
    right = labels[:len(y)] == y
    for gate, score in found.items():
        for named in NAMED:
            limit, facts = np.quantile(score[:len(y)], 1 - named), dict(gate=gate, named=named)
            yield dict(facts, of='Oxford', what='right, of those named', **share(right[score[:len(y)] >= limit]))
            for folder, rows in where.items():
                yield dict(facts, of=folder, what='given a breed', **share(score[len(y) + rows] >= limit))

def of_bundle(folder, where):
    "Rows for a bundle: how many of the other animals it gives a breed, and with at least 95%."
    clf = load_classifier(folder)
    for name, paths in where.items():
        answers = [o for o in clf.predict_batch(paths) if not o.error]
        named = np.array([o.level == 'breed' for o in answers])
        sure = named & np.array([o.confidence >= 0.95 for o in answers])
        facts = dict(gate=f'the bundle of {clf.config["petpoo"]}', of=name)
        yield dict(facts, what='given a breed', **share(named))
        yield dict(facts, what='given a breed, at least 95% sure', **share(sure))

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    for name in ('pets', 'breeds', 'wild'): p.add_argument(f'--{name}', type=folders, required=True)
    p.add_argument('--earlier', help='a bundle that was not fitted to these animals, to measure as it is')
    return p.parse_args()

def main():
    args = arguments()
    table = split_table(read_table(args.data), seed=SEED)
    learn = learner(table)
    table, classes = grouped(learn, table), learn.dls.spec.classes
    paths = {folder: photos(folder) for folder in (*args.pets, *args.breeds, *args.wild)}
    x = get_features(learn, table['path'], VIEWS).astype(np.float32)
    others = get_features(learn, sum(paths.values(), []), VIEWS).astype(np.float32)
    at = np.split(np.arange(len(others)), np.cumsum([len(o) for o in paths.values()])[:-1])
    where = {Path(folder).name: rows for folder, rows in zip(paths, at)}
    y, groups = table['label'].map(classes.index).to_numpy(), pd.factorize(table['group'])[0]
    labels, found = out_of_fold(x, y, groups, others, Evidence(ARCH))
    earlier = of_bundle(args.earlier, {Path(k).name: v for k, v in paths.items()}) if args.earlier else ()
    rows = pd.DataFrame([*earlier, *rows_of(labels, found, y, where)]).assign(arch=ARCH, seed=SEED, **environment())
    with atomic_path(ROOT/'results'/'open_world.csv') as path: rows.to_csv(path, index=False, float_format='%.4f')
    print(rows[rows.named == NAMED[0]].pivot(index='gate', columns=['of'], values='value').round(3).to_string())

if __name__ == '__main__': main()
