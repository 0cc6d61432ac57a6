"""Compare scores that tell pets from everything else, and layers that tell cats from dogs; write results/known.csv.

    python benchmarks/known.py path/to/oxford-iiit-pet --pets everyday,other-source --breeds other-breeds --wild wild \\
        --things not-pets --pictures pictures-of-dogs

Features are those of the shipped classifier (benchmarks/ship.py). The script prints the weights of
`petpoo.train.evidence.PET_WEIGHTS`, which are fitted to all photographs but the pictures. The figures are cross-fitted:
five times without a fifth of each folder, and the intervals are wider for it (`petpoo.evaluate.bootstrap.spread_of`).
Each threshold is the one at which a share of the photographs in `--pets` is taken for pets. Cat or dog is asked of
breeds that were left out of the training, and of the photographs in `--pets`."""
import argparse
from pathlib import Path
import numpy as np, pandas as pd
from sklearn.linear_model import LogisticRegression
from ship import ARCH, ROOT, SEED, VIEWS, folders, learner, photos
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.train.evidence import GROUPS, Evidence
from petpoo.train.features import get_features

KINDS = 'pets', 'breeds', 'wild', 'things', 'pictures'
PARTS, TAKEN = 5, (0.987, 0.993)
WEIGHT = dict(oxford=0.3, pets=1, breeds=0.3, wild=0.8, things=2.4) # of the folders, however many photographs they hold

def share(hits, folds=0):
    low, high = wilson_interval(int(np.sum(hits)), len(hits), folds=folds)
    return dict(value=float(np.mean(hits)), low=low, high=high, n=len(hits))

# --- pets and everything else ---

def weighting(groups, kinds, skip=None):
    "Weights and constant of the log-odds of a pet; `skip` is folder -> rows to leave out."
    use = {k: v[~skip[k]] if skip else v for k, v in groups.items() if kinds[k] in WEIGHT}
    x = np.concatenate([*use.values()])
    y = np.concatenate([np.full(len(v), kinds[k] in ('oxford', 'pets', 'breeds')) for k, v in use.items()])
    w = np.concatenate([np.full(len(v), 2000*WEIGHT[kinds[k]]/len(v)) for k, v in use.items()])
    mean, std = x.mean(0), x.std(0)
    model = LogisticRegression(C=0.3, max_iter=1000).fit((x - mean)/std, y, sample_weight=w)
    weights = model.coef_[0]/std
    return weights, model.intercept_[0] - weights @ mean

def cross_fitted(groups, kinds):
    "Folder -> score of each photograph, by weights that were fitted without it."
    rng = np.random.default_rng(SEED)
    part = {k: rng.permutation(len(v)) % PARTS for k, v in groups.items()}
    scores = {k: np.zeros(len(v)) for k, v in groups.items()}
    for i in range(PARTS):
        weights, constant = weighting(groups, kinds, {k: v == i for k, v in part.items()})
        for k, v in groups.items(): scores[k][part[k] == i] = v[part[k] == i] @ weights + constant
    return scores

def of_scores(groups, kinds):
    "Rows of the table."
    cats, dogs, *_, others = range(6)
    plain = {k: np.logaddexp(v[:, cats], v[:, dogs]) - v[:, others] for k, v in groups.items()}
    ways = {
        "ImageNet's pets against its things (version 0.2)": plain,
        'weighted sum of six groups (taken)': cross_fitted(groups, kinds)}
    for how, scores in ways.items():
        folds = 0 if scores is plain else PARTS
        pets = np.concatenate([v for k, v in scores.items() if kinds[k] == 'pets'])
        for taken in TAKEN:
            limit = np.quantile(pets, 1 - taken)
            for k, v in scores.items():
                yield dict(what='taken for pets', how=how, taken=taken, of=k, **share(v >= limit, folds))

# --- cats and dogs ---

def species_layer(x, is_cat, C):
    "A layer that is positive for cats."
    return LogisticRegression(C=C, class_weight='balanced', max_iter=1000).fit(x, is_cat).decision_function

def with_evidence(x, evidence, leeway): return np.concatenate([x, leeway*evidence[:, None]], 1)

def left_out(x, y, cat, C):
    "Scores of each photograph by a layer that was trained without its breed."
    rng, part, scores = np.random.default_rng(SEED), np.zeros(len(cat), int), np.zeros(len(y))
    for kind in (cat, ~cat): part[kind] = rng.permutation(kind.sum()) % PARTS
    for k in range(PARTS):
        rows = part[y] != k
        scores[~rows] = species_layer(x[rows], cat[y[rows]], C)(x[~rows])
    return scores

def of_species(x, y, cat, groups, pets, is_cat):
    "Rows of the table: `pets` are (features, groups) of the other pets."
    facts = dict(what='cat or dog right')
    imagenet = groups[:, 0] - groups[:, 1]
    yield dict(how="ImageNet's layer", of='Oxford', **facts, **share((imagenet > 0) == cat[y]))
    of_pets = pets[1][:, 0] - pets[1][:, 1]
    yield dict(how="ImageNet's layer", of='pets', **facts, **share((of_pets > 0) == is_cat))
    for C in (1e-5, 1e-4, 1e-3):
        alone, other = left_out(x, y, cat, C), species_layer(x, cat[y], C)(pets[0])
        for leeway in (1, 3, 10):
            both, both_pets = with_evidence(x, imagenet, leeway), with_evidence(pets[0], of_pets, leeway)
            how = f'both, weight fitted with leeway {leeway}, C={C:g}' + ' (taken)'*(C == 1e-4 and leeway == 3)
            right = (left_out(both, y, cat, C) > 0) == cat[y]
            yield dict(how=how, of='Oxford, breeds left out', **facts, **share(right, PARTS))
            yield dict(how=how, of='pets', **facts, **share((species_layer(both, cat[y], C)(both_pets) > 0) == is_cat))
        for how, more, more_pets in (('layer for the species', 0, 0), ('both added', imagenet, of_pets)):
            right = (alone + more > 0) == cat[y]
            yield dict(how=f'{how}, C={C:g}', of='Oxford, breeds left out', **facts, **share(right, PARTS))
            yield dict(how=f'{how}, C={C:g}', of='pets', **facts, **share((other + more_pets > 0) == is_cat))

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    for name in KINDS: p.add_argument(f'--{name}', type=folders, required=True)
    return p.parse_args()

def main():
    args = arguments()
    table = split_table(read_table(args.data), seed=SEED)
    learn, evidence = learner(table), Evidence(ARCH)
    def features(paths): return get_features(learn, paths, VIEWS)[:, 0].astype(np.float32)
    kinds = {f: kind for kind in KINDS for f in getattr(args, kind)}
    x = {'oxford': features(table['path'])} | {f: features(photos(f)) for f in kinds}
    groups = {Path(k).name: evidence.groups(evidence.logits(v)) for k, v in x.items()}
    kinds = {'oxford': 'oxford'} | {Path(k).name: v for k, v in kinds.items()}
    weights, constant = weighting(groups, kinds)
    print([*GROUPS], weights.round(3).tolist(), round(constant, 3))
    classes = learn.dls.spec.classes
    cat = np.array([learn.dls.spec.species[o] == 'cat' for o in classes])
    y = table['label'].map(classes.index).to_numpy()
    names = [Path(f).name for f in args.pets]
    pets = np.concatenate([x[f] for f in args.pets]), np.concatenate([groups[o] for o in names])
    is_cat = np.array([Path(o).parent.name.startswith('cat') for f in args.pets for o in photos(f)])
    found = [*of_scores(groups, kinds), *of_species(x['oxford'], y, cat, groups['oxford'], pets, is_cat)]
    rows = pd.DataFrame(found).assign(arch=ARCH, seed=SEED, **environment())
    with atomic_path(ROOT/'results'/'known.csv') as path: rows.to_csv(path, index=False, float_format='%.4f')
    print(rows[['what', 'how', 'taken', 'of', 'value', 'low', 'high', 'n']].to_string())

if __name__ == '__main__': main()
