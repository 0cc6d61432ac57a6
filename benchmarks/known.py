"""Compare scores that tell pets from other things, and layers that tell cats from dogs; write results/known.csv.

    python benchmarks/known.py path/to/oxford-iiit-pet --pets path/to/cats-and-dogs --others path/to/not-pets

All of them use features of the unchanged body of tf_efficientnet_lite2 at 320 pixels.

Scores: a threshold is set on the seeded first half of the photographs without a pet, so that 2% of them pass. The
second half and all pets are measured.
Species: each layer is trained on four fifths of the Oxford photographs. It is measured on the last fifth, on pets of
another source, and by cross-validation on breeds that were left out of the training."""
import argparse
from pathlib import Path
import numpy as np, pandas as pd, torch
from sklearn.linear_model import LogisticRegression
from ship import ARCH, SEED, SIZE, VIEWS, halves, photos
from petpoo.classify.inference import preprocess
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.image import read_image, resize_image
from petpoo.train.features import get_features
from petpoo.train.heads import * # learn.fit_head
from petpoo.train.pethead import CATS, DOGS, pet_learner
from petpoo.train.pipeline import get_dls
from petpoo.train.training import get_learner

OUT = Path(__file__).parent.parent/'results'/'known.csv'
PARTS = 6 # of the breeds, each left out once
TAKEN = "ImageNet's layer, cats weighted as dogs"

def interval(hits):
    "A share with its interval."
    low, high = wilson_interval(int(np.sum(hits)), len(hits))
    return dict(value=float(np.mean(hits)), low=low, high=high, n=len(hits))

# --- pets and other things ---

def cosine_to_nearest(x, train):
    "For each row of `x`, its similarity to the nearest row of `train`."
    unit = lambda o: o/np.linalg.norm(o, axis=1, keepdims=True)
    return (unit(x) @ unit(train).T).max(1)

def share_of_pets(head, f):
    "The probability that ImageNet's layer gives to its breeds of cats and dogs."
    z = f @ head.imagenet.float().T*head.scale + head.bias
    dogs, cats = (z[:, o.start:o.stop].logsumexp(1).exp() for o in (DOGS, CATS))
    return (dogs + cats).numpy()/z.logsumexp(1).exp().numpy()

def scores(head, plain, x, train):
    "Name -> score of each row of the features `x`, higher for what is known."
    f = torch.tensor(x)
    cats, dogs, others = head.evidence(f)
    logits = plain(f)
    return {
        'largest probability of a breed': logits.softmax(1).max(1)[0].numpy(),
        'free energy of the breeds': logits.logsumexp(1).numpy(),
        'cosine to the nearest training photograph': cosine_to_nearest(x, train),
        "cats' and dogs' share of ImageNet's classes": share_of_pets(head, f),
        'log-odds of a pet, cats weighted as dogs (taken)': (torch.logaddexp(cats, dogs) - others).numpy()}

def of_scores(found):
    "Rows of the table; `found` is set -> name -> score."
    others = found['others']
    for name in others:
        limit = np.quantile(found['others, first half'][name], 0.98)
        for group in ('others', 'held-out Oxford', 'other source', 'other source, small and blurred'):
            yield dict(what='taken as pets', how=name, of=group, **interval(found[group][name] > limit))
        for group in ('held-out Oxford', 'other source'):
            chance = float((found[group][name][:, None] > others[name][None]).mean())
            yield dict(
                what='chance that a pet scores higher than another photograph', how=name, of=group, value=chance)

# --- cats and dogs ---

def species_layer(x, is_cat, C=1e-4):
    "A layer that is positive for cats; the smaller `C`, the stronger its regularisation."
    return LogisticRegression(C=C, class_weight='balanced', max_iter=1000).fit(x, is_cat).decision_function

def imagenet_layer(head):
    "ImageNet's evidence for cats minus that for dogs."
    def score(f):
        cats, dogs, _ = head.evidence(torch.tensor(f))
        return (cats - dogs).numpy()
    return score

def breeds_summed(plain, cat_classes):
    "The probability of the breeds of cats, above one half."
    def score(f): return plain(torch.tensor(f)).softmax(1).numpy()[:, cat_classes].sum(1) - 0.5
    return score

def views_of(x, rows): return x[rows].reshape(-1, x.shape[2]).astype(np.float32)

def of_species(head, plain, cat_classes, sets, x, y, train):
    "Rows of the table; `sets` is name -> (features, is it a cat?)."
    imagenet = imagenet_layer(head)
    layer = species_layer(views_of(x, train), cat_classes[y][train].repeat(x.shape[1]))
    ways = {
        'sum of the breeds of a plain head': breeds_summed(plain, cat_classes),
        "ImageNet's layer": lambda f: imagenet(f) - np.log(len(DOGS)/len(CATS)),
        TAKEN: imagenet,
        'layer for the species': layer,
        "layer for the species and ImageNet's, added (taken)": lambda f: layer(f) + imagenet(f)}
    for how, score in ways.items():
        for group, (f, is_cat) in sets.items():
            yield dict(what='cat or dog right', how=how, of=group, **interval((score(f) > 0) == is_cat))

def part_of_breeds(cat_classes):
    "A part for each breed, so that each part has its share of cats and of dogs."
    rng, part = np.random.default_rng(SEED), np.zeros(len(cat_classes), int)
    for breeds in (cat_classes, ~cat_classes): part[breeds] = rng.permutation(breeds.sum()) % PARTS
    return part

def left_out(x, y, cat_classes, C):
    "Scores of each photograph by a layer that was trained without its breed."
    part, is_cat, first = part_of_breeds(cat_classes)[y], cat_classes[y], x[:, 0].astype(np.float32)
    scores = np.zeros(len(y))
    for k in range(PARTS):
        rows = np.flatnonzero(part != k)
        layer = species_layer(views_of(x, rows), is_cat[rows].repeat(x.shape[1]), C)
        scores[part == k] = layer(first[part == k])
    return scores

def of_new_breeds(head, cat_classes, x, y):
    "Rows of the table for breeds that were left out of the training."
    facts = dict(what='cat or dog right', of='breeds left out of the training')
    is_cat, by_imagenet = cat_classes[y], imagenet_layer(head)(x[:, 0].astype(np.float32))
    yield dict(how=TAKEN, **facts, **interval((by_imagenet > 0) == is_cat))
    for C in (1e-5, 1e-4, 1e-3, 1e-2):
        alone = left_out(x, y, cat_classes, C)
        both = {'layer for the species': alone, "layer for the species and ImageNet's, added": alone + by_imagenet}
        for how, score in both.items():
            yield dict(how=f'{how}, C={C:g}', **facts, **interval((score > 0) == is_cat))

# --- features ---

def first_view(learn, paths): return get_features(learn, list(paths))[:, 0].astype(np.float32)

def small_and_blurred(learn, paths, side=64):
    "Features of photographs that were reduced to 64 pixels."
    spec = learn.dls.spec
    config = dict(size=spec.size, resize=spec.resize, mean=spec.mean, std=spec.std)
    def features(path):
        small = resize_image(read_image(path), side, 'crop')
        return learn.model[0](torch.tensor(preprocess(small, config))[None]).numpy()
    with torch.inference_mode(): return np.concatenate([features(o) for o in paths])

def groups_of(learn, held_out, pets, others):
    "Name of a set -> its features."
    first, second = halves(others)
    return {
        'others, first half': first_view(learn, first),
        'others': first_view(learn, second),
        'held-out Oxford': held_out,
        'other source': first_view(learn, pets),
        'other source, small and blurred': small_and_blurred(learn, pets)}

def measure(table, pets, others):
    "Rows of the table."
    dls = get_dls(table, size=SIZE, resize='crop', augment=False)
    learn, simple = pet_learner(dls, ARCH), get_learner(dls, ARCH)
    x, y = get_features(learn, table['path'], VIEWS), table['label'].map(dls.spec.classes.index).to_numpy()
    train, valid = (np.flatnonzero(table['split'] == o) for o in ('train', 'valid'))
    simple.fit_head()
    head, plain = learn.model[1].eval(), simple.model[1].cpu().eval()
    cat_classes = np.array([dls.spec.species[o] == 'cat' for o in dls.spec.classes])
    groups = groups_of(learn, x[valid, 0].astype(np.float32), pets, others)
    is_cat = np.array(['cat' in Path(o).parent.name for o in pets])
    truth = {
        'held-out Oxford': cat_classes[y[valid]], 'other source': is_cat, 'other source, small and blurred': is_cat}
    sets = {k: (groups[k], v) for k, v in truth.items()}
    with torch.inference_mode():
        seen = x[train, 0].astype(np.float32)
        return [
            *of_scores({k: scores(head, plain, f, seen) for k, f in groups.items()}),
            *of_species(head, plain, cat_classes, sets, x, y, train),
            *of_new_breeds(head, cat_classes, x, y)]

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--pets', required=True, help='a folder with cats/ and dogs/')
    p.add_argument('--others', required=True, help='a folder of photographs without a pet')
    return p.parse_args()

COLUMNS = ['what', 'how', 'of', 'value', 'low', 'high', 'n']

def main():
    args = arguments()
    table = split_table(read_table(args.data), seed=SEED)
    pets, others = sorted(map(str, photos(args.pets))), photos(args.others)
    rows = pd.DataFrame(measure(table, pets, others), columns=COLUMNS).assign(arch=ARCH, seed=SEED, **environment())
    with atomic_path(OUT) as path: rows.to_csv(path, index=False, float_format='%.4f')
    print(rows[COLUMNS].to_string())

if __name__ == '__main__': main()
