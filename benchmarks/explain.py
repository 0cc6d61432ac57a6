"""Compare heats for "where did it look" by deletion and insertion; write results/explain.csv.

    python benchmarks/explain.py path/to/photographs [--bundle packaged] [--n 100] [--seed 5]

Deletion: the parts of a photograph are covered, the hottest first, and the probability of the answer is read after
each step. Insertion: all is covered, and the parts are shown, the hottest first (RISE, V. Petsiuk and others, 2018).
The better the heat, the sooner the probability falls, or rises. The answer is the most probable class.

`random covers`: the heat of `Classifier.explain`, 65 predictions.
`one part at a time`: the fall of the margin when a part is covered, half a part wider on each side (M. Zeiler and
R. Fergus, 2014), 65 predictions.
`random order`: no heat.

`deletion`, `insertion`: the mean probability after 1, 2, 4, 8, 16 and 32 of the 64 parts. `_change`: less that of
`one part at a time`, with a 95% bootstrap interval over photographs. `p_after_N`: the mean probability after N parts
are covered. `strongest`: the median of the largest heat in nats."""
import argparse
from pathlib import Path
import numpy as np, pandas as pd
from petpoo.classify.inference import preprocess
from petpoo.core import atomic_path, environment
from petpoo.learner import load_classifier
from petpoo.progress import progress

OUT = Path(__file__).parent.parent/'results'/'explain.csv'
GRID, STEPS = 8, (1, 2, 4, 8, 16, 32)
BEFORE = 'one part at a time'
IMAGES = '.jpg', '.jpeg', '.png'

def covered(x, cells, wider=0):
    "A copy of a prepared photo in which cells are set to the mean colour; `wider` is a share of a cell on each side."
    x = x.copy()
    (height, width), reach = x.shape[1:], wider/GRID
    for row, column in zip(*np.unravel_index(cells, (GRID, GRID))):
        top, bottom = (round(height*max(0, o)) for o in (row/GRID - reach, (row + 1)/GRID + reach))
        left, right = (round(width*max(0, o)) for o in (column/GRID - reach, (column + 1)/GRID + reach))
        x[:, top:bottom, left:right] = 0
    return x

def probs_of(clf, batch):
    "Probabilities of many prepared photos."
    return np.concatenate([clf.probs(np.stack(batch[i:i + 4])) for i in range(0, len(batch), 4)])

def margin(p, k):
    "The log-odds of class `k` against its best rival."
    return np.log(p[:, k]) - np.log(np.delete(p, k, axis=1).max(axis=1))

def one_at_a_time(clf, x):
    "The class that is answered, and the heat of each part."
    p = probs_of(clf, [x, *(covered(x, [o], wider=0.5) for o in range(GRID**2))])
    k = p[0].argmax()
    margins = margin(p, k)
    return k, margins[0] - margins[1:]

def curves(clf, x, k, order):
    "The probability of class `k` after each step of deletion, and of insertion."
    views = [covered(x, order[:n]) for n in STEPS] + [covered(x, order[n:]) for n in STEPS]
    return probs_of(clf, views)[:, k].reshape(2, -1)

def rows_of(clf, path, seed):
    "A row for each way to order the parts of a photo."
    x = preprocess(path, clf.config)
    k, before = one_at_a_time(clf, x)
    found = {BEFORE: before, 'random covers': clf.explain(path, of=clf.classes[k]).heat.ravel()}
    for name, heat in (found | {'random order': np.random.default_rng(seed).random(GRID**2)}).items():
        deleted, inserted = curves(clf, x, k, np.argsort(-heat))
        strongest = heat.max() if name in found else np.nan
        yield dict(heat=name, deletion=deleted.mean(), insertion=inserted.mean(), strongest=strongest,
                   **{f'p_after_{n}': o for n, o in zip(STEPS, deleted)})

def interval(values, rng):
    "The 95% bootstrap interval of a mean over photographs."
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    return np.quantile(means, [0.025, 0.975])

def summary(table, rng):
    "A row for each heat."
    before = table[table.heat == BEFORE]
    for name, part in table.groupby('heat', sort=False):
        row = dict(heat=name, photographs=len(part))
        for area in ('deletion', 'insertion'):
            change = part[area].to_numpy() - before[area].to_numpy()
            low, high = interval(change, rng)
            row |= {area: part[area].mean(), f'{area}_change': change.mean(), f'{area}_low': low, f'{area}_high': high}
        shares = {o: part[o].mean() for o in table if o.startswith('p_after')}
        yield row | shares | dict(strongest=part.strongest.dropna().median())

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--bundle', default='packaged')
    parser.add_argument('--n', type=int, default=100)
    parser.add_argument('--seed', type=int, default=5)
    args = parser.parse_args()
    rng, clf = np.random.default_rng(args.seed), load_classifier(args.bundle)
    paths = sorted(o for o in args.folder.rglob('*') if o.suffix.lower() in IMAGES)
    chosen = [paths[i] for i in rng.permutation(len(paths))[:args.n]]
    photos = progress(enumerate(chosen), len(chosen), 'explaining', unit=' photos')
    table = pd.DataFrame(row for seed, path in photos for row in rows_of(clf, path, seed))
    result = pd.DataFrame(summary(table, rng)).round(4).assign(bundle=args.bundle, seed=args.seed, **environment())
    print(result.to_string())
    with atomic_path(OUT) as p: result.to_csv(p, index=False)

if __name__ == '__main__': main()
