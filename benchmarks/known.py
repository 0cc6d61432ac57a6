"""Which score tells pets from other things, and which layer tells cats from dogs, on photographs from elsewhere? Write results/known.csv.

    python benchmarks/known.py path/to/oxford-iiit-pet --pets path/to/cats-and-dogs --others path/to/not-pets

All on features of the unchanged body of tf_efficientnet_lite2 at 320 pixels. Scores: a threshold is set on the seeded first half of the photographs without a pet, so that 2% of them pass; the second half and all pets are measured.
Species: trained on four fifths of the Oxford photographs; measured on the last fifth, on pets of another source, and, in six turns, on breeds that were left out of the training."""
import argparse
from pathlib import Path
import numpy as np, pandas as pd, torch
from sklearn.linear_model import LogisticRegression
from ship import ARCH, SEED, SIZE, VIEWS, halves, photos
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.train.features import get_features
from petpoo.train.phases import head_learner, quick
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.train.pethead import pet_learner
from petpoo.train.pipeline import get_dls
from petpoo.train.phases import fit
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'known.csv'

def interval(hits):
    low, high = wilson_interval(int(np.sum(hits)), len(hits))
    return dict(value=float(np.mean(hits)), low=low, high=high, n=len(hits))

def scores(head, plain, x, train):
    "name -> score of each row of features `x`, larger for what is known."
    f = torch.tensor(x)
    z = (f @ head.imagenet.float().T*head.scale + head.bias)
    cats, dogs, others = head.evidence(f)
    unit = lambda o: o/np.linalg.norm(o, axis=1, keepdims=True)
    logits = plain(f)
    return {'largest probability of a breed': logits.softmax(1).max(1)[0].numpy(), 'free energy of the breeds': logits.logsumexp(1).numpy(),
        'cosine to the nearest training photograph': (unit(x) @ unit(train).T).max(1), "cats' and dogs' share of ImageNet's classes": (z[:, 151:269].logsumexp(1).exp() + z[:, 281:286].logsumexp(1).exp()).numpy()/z.logsumexp(1).exp().numpy(),
        'log-odds of a pet, cats weighted as dogs (taken)': (torch.logaddexp(cats, dogs) - others).numpy()}

def of_scores(found):
    "`found`: set -> name -> score. Rows of the table."
    for name in found['others']:
        limit = np.quantile(found['others, first half'][name], 0.98)
        for group in ('others', 'held-out Oxford', 'other source', 'other source, small and blurred'):
            yield dict(what='taken as pets', how=name, of=group, **interval(found[group][name] > limit))
        for group in ('held-out Oxford', 'other source'):
            yield dict(what='chance that a pet scores higher than another photograph', how=name, of=group, value=float((found[group][name][:, None] > found['others'][name][None]).mean()))

def species_layer(x, is_cat, C=1e-4): return LogisticRegression(C=C, class_weight='balanced', max_iter=1000).fit(x, is_cat).decision_function

def of_species(head, plain, cat_classes, sets, x, y, train, valid):
    "`sets`: name -> (features, is it a cat?). Rows of the table."
    imagenet = lambda f: (lambda c, d, _: (c - d).numpy())(*head.evidence(torch.tensor(f)))
    unweighted = lambda f: imagenet(f) - np.log(118/5)
    flat = lambda rows: x[rows].reshape(-1, x.shape[2]).astype(np.float32)
    def breeds(f):
        p = plain(torch.tensor(f)).softmax(1).numpy()
        return p[:, cat_classes].sum(1) - 0.5
    layer = species_layer(flat(train), cat_classes[y][train].repeat(x.shape[1]))
    ways = {'sum of the breeds of a plain head': breeds, "ImageNet's layer": unweighted, "ImageNet's layer, cats weighted as dogs": imagenet, 'layer for the species': layer, "layer for the species and ImageNet's, added (taken)": lambda f: layer(f) + imagenet(f)}
    for how, score in ways.items():
        for group, (f, is_cat) in sets.items(): yield dict(what='cat or dog right', how=how, of=group, **interval((score(f) > 0) == is_cat))
    rng, first = np.random.default_rng(SEED), x[:, 0].astype(np.float32)
    turn = np.concatenate([rng.permutation(n) % 6 for n in (cat_classes.sum(), (~cat_classes).sum())])[np.argsort(np.argsort(~cat_classes, kind='stable'))][y]
    of = 'breeds left out of the training'
    yield dict(what='cat or dog right', how="ImageNet's layer, cats weighted as dogs", of=of, **interval((imagenet(first) > 0) == cat_classes[y]))
    for C in (1e-5, 1e-4, 1e-3, 1e-2): # the smaller, the more the layer is held back
        alone = np.zeros(len(y))
        for k in range(6):
            rows = np.flatnonzero(turn != k)
            alone[turn == k] = species_layer(flat(rows), cat_classes[y][rows].repeat(x.shape[1]), C)(first[turn == k])
        for how, score in {'layer for the species': alone, "layer for the species and ImageNet's, added": alone + imagenet(first)}.items():
            yield dict(what='cat or dog right', how=f'{how}, C={C:g}', of=of, **interval((score > 0) == cat_classes[y]))

def small_and_blurred(learn, paths, side=64):
    "Features of photographs that were 64 pixels wide."
    from petpoo.image import read_image, resize_image
    from petpoo.classify.inference import preprocess
    spec = learn.dls.spec
    config = dict(size=spec.size, resize=spec.resize, mean=spec.mean, std=spec.std)
    with torch.inference_mode():
        return np.concatenate([learn.model[0](torch.tensor(preprocess(resize_image(read_image(o), side, 'crop'), config))[None]).numpy() for o in paths])

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data'); p.add_argument('--pets', required=True); p.add_argument('--others', required=True)
    args = p.parse_args()
    table = split_table(read_table(args.data), seed=SEED)
    dls = get_dls(table, size=SIZE, resize='crop', augment=False)
    learn, simple = pet_learner(dls, ARCH), get_learner(dls, ARCH)
    head, feature = learn.model[1].eval(), lambda paths: get_features(learn, list(paths))[:, 0].astype(np.float32)
    x, y = get_features(learn, table['path'], VIEWS), table['label'].map(dls.spec.classes.index).to_numpy()
    train, valid = (np.flatnonzero(table['split'] == o) for o in ('train', 'valid'))
    fit_plain = head_learner(simple)
    with fit_plain.no_bar(), fit_plain.no_logging(): fit(fit_plain, quick())
    plain = simple.model[1].cpu().eval()
    cat_classes = np.array([dls.spec.species[o] == 'cat' for o in dls.spec.classes])
    pets, (first, second) = sorted(map(str, photos(args.pets))), halves(photos(args.others))
    is_cat = np.array(['cat' in Path(o).parent.name for o in pets])
    groups = {'others, first half': feature(first), 'others': feature(second), 'held-out Oxford': x[valid, 0].astype(np.float32), 'other source': feature(pets), 'other source, small and blurred': small_and_blurred(learn, pets)}
    with torch.inference_mode():
        rows = list(of_scores({k: scores(head, plain, f, x[train, 0].astype(np.float32)) for k, f in groups.items()}))
        rows += of_species(head, plain, cat_classes, {'held-out Oxford': (groups['held-out Oxford'], cat_classes[y[valid]]), 'other source': (groups['other source'], is_cat), 'other source, small and blurred': (groups['other source, small and blurred'], is_cat)}, x, y, train, valid)
    rows = pd.DataFrame(rows).assign(arch=ARCH, seed=SEED, **environment())
    with atomic_path(OUT) as out: rows.to_csv(out, index=False, float_format='%.4f')
    print(rows.iloc[:, :7].to_string())

if __name__ == '__main__': main()
