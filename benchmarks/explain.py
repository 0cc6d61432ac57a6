"""Compare two heats for "where did it look" by deletion; write results/explain.csv.

    python benchmarks/explain.py path/to/photographs [--bundle packaged] [--n 40] [--seed 5]

The parts of a photograph are covered, the hottest first, and the probability of the answer is read after each step (RISE,
V. Petsiuk and others, 2018). The better the heat, the sooner it falls. The answer is the most probable class.

`margin`: the heat of `Classifier.explain`, the fall of the log-odds of the answer against its best rival.
`log probability`: the fall of the log probability of the answer.
`random`: the parts in random order.

Columns: the mean probability after 1 to 32 of the 64 parts, and the mean over these steps (`area`) with an interval over
photographs. `strongest`: the median of the largest heat in nats. `within_half`: the median number of parts with at least half of the largest heat."""
import argparse
from pathlib import Path
import numpy as np, pandas as pd
from petpoo.classify.inference import preprocess
from petpoo.core import atomic_path, environment
from petpoo.learner import load_classifier
from petpoo.progress import progress

OUT = Path(__file__).parent.parent/'results'/'explain.csv'
GRID, STEPS = 8, (1, 2, 4, 8, 16, 32)
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

def heats(clf, x):
    "The class that is answered, and the heat of each cell by each measure."
    p = probs_of(clf, [x, *(covered(x, [o], wider=0.5) for o in range(GRID**2))])
    k = p[0].argmax()
    found = {'margin': margin(p, k), 'log probability': np.log(p[:, k])}
    return k, {name: o[0] - o[1:] for name, o in found.items()}

def deleted(clf, x, k, order):
    "The probability of class `k` after each step."
    return probs_of(clf, [covered(x, order[:n]) for n in STEPS])[:, k]

def rows_of(clf, path, rng):
    "A row for each way to order the cells of a photo."
    x = preprocess(path, clf.config)
    k, found = heats(clf, x)
    for name, heat in (found | dict(random=rng.random(GRID**2))).items():
        p = deleted(clf, x, k, np.argsort(-heat))
        facts = {} if name == 'random' else dict(strongest=heat.max(), within_half=(heat >= heat.max()/2).sum())
        yield dict(heat=name, area=p.mean(), **{f'p_after_{n}': o for n, o in zip(STEPS, p)}, **facts)

def interval(values, rng):
    "The 95% bootstrap interval of a mean over photographs."
    means = rng.choice(values, (2000, len(values))).mean(axis=1)
    return np.quantile(means, [0.025, 0.975])

def summary(table, rng):
    "A row for each heat."
    for name, part in table.groupby('heat', sort=False):
        low, high = interval(part.area.to_numpy(), rng)
        shares = {o: part[o].mean() for o in table if o.startswith('p_after')}
        medians = {o: part[o].dropna().median() for o in ('strongest', 'within_half')}
        yield dict(heat=name, photographs=len(part), area=part.area.mean(), low=low, high=high, **shares, **medians)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--bundle', default='packaged')
    parser.add_argument('--n', type=int, default=40)
    parser.add_argument('--seed', type=int, default=5)
    args = parser.parse_args()
    rng, clf = np.random.default_rng(args.seed), load_classifier(args.bundle)
    paths = sorted(o for o in args.folder.rglob('*') if o.suffix.lower() in IMAGES)
    chosen = [paths[i] for i in rng.permutation(len(paths))[:args.n]]
    k, found = heats(clf, preprocess(chosen[0], clf.config))
    ours = clf.explain(chosen[0], of=clf.classes[k]).heat
    assert np.allclose(found['margin'].reshape(ours.shape), ours, atol=1e-2), 'this is not the heat of Classifier.explain'
    table = pd.DataFrame(row for path in progress(chosen, what='explaining', unit=' photos')
                         for row in rows_of(clf, path, rng))
    result = pd.DataFrame(summary(table, rng)).round(4).assign(bundle=args.bundle, seed=args.seed, **environment())
    print(result.to_string())
    with atomic_path(OUT) as p: result.to_csv(p, index=False)

if __name__ == '__main__': main()
