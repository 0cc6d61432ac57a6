"""Measure how well animals are found in photographs, and what an answer for each is worth; write results/animals.csv.

    python benchmarks/animals.py path/to/oxford-iiit-pet --skip natural --pets everyday,other-source --things not-pets

The photographs of `--skip` are left out by their names, because the thresholds of `petpoo.classify.animals` were chosen
on collages of them. The single photographs, and those of `--things`, were seen at that choice, too.

`one animal`: the share of photographs in which an animal is found, and in which more than one is.
`side by side`: collages of two photographs of pets.
`small`: a photograph of a pet pasted into one of `--things`, at 2% to 10% of its area.
An animal of a collage counts as found if at least 70% of a box, or of the animal's photograph, is shared, and the box
has at most twice the photograph's area. The packaged classifier answers; an animal that is not found has the answer to
the whole collage. It has seen the pasted photographs in training, so its shares are too high, but for one answer and
for each alike."""
import argparse, time
from pathlib import Path
import numpy as np, pandas as pd
from PIL import Image
from petpoo.classify.animals import find_animals, overlap, predict_each
from petpoo.core import atomic_path, environment
from petpoo.data.layouts import oxford_table
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.learner import load_classifier

OUT = Path(__file__).parent.parent/'results'/'animals.csv'
HEIGHT, LONGER, SHARES = 400, 900, (0.02, 0.1) # pixels of a collage; shares of a small pet
FIGURES = ('most probable breed right', 'species right', 'breed named and right', 'breed named and wrong', 'no pet')

def photos(folder): return sorted(str(o) for o in Path(folder).rglob('*.jpg'))

def opened(path): return Image.open(path).convert('RGB')

def pick(rng, items, n): return [items[i] for i in rng.permutation(len(items))[:n]]

# --- collages ---

def side_by_side(rng, pets, n):
    "Yield a collage, and a pet and its box for each half."
    for _ in range(n):
        two = pick(rng, pets, 2)
        images = [opened(o.path) for o in two]
        images = [o.resize((round(o.width*HEIGHT/o.height), HEIGHT)) for o in images]
        middle, width = images[0].width, sum(o.width for o in images)
        collage = Image.new('RGB', (width, HEIGHT))
        for image, x in zip(images, (0, middle)): collage.paste(image, (x, 0))
        yield collage, [*zip(two, [(0, 0, middle, HEIGHT), (middle, 0, width, HEIGHT)])]

def small(rng, pets, things, n):
    "Yield a collage, and the pet in it with its box."
    for _ in range(n):
        pet, collage = pick(rng, pets, 1)[0], opened(pick(rng, things, 1)[0])
        scale = LONGER/max(collage.size)
        collage = collage.resize([round(scale*o) for o in collage.size])
        image, share = opened(pet.path), rng.uniform(*SHARES)
        scale = min((share*np.prod(collage.size)/np.prod(image.size))**0.5, min(np.divide(collage.size, image.size)))
        w, h = (int(scale*o) for o in image.size)
        x, y = (int(rng.integers(0, free + 1)) for free in (collage.width - w, collage.height - h))
        collage.paste(image.resize((w, h)), (x, y))
        yield collage, [(pet, (x, y, x + w, y + h))]

# --- figures ---

def row(images, figure, hits):
    low, high = wilson_interval(int(np.sum(hits)), len(hits))
    return dict(images=images, figure=figure, value=float(np.mean(hits)), low=low, high=high, n=len(hits))

def area(box): return np.prod(box[2:] - box[:2])

def answer_for(each, box, size, whole):
    "The answer to the animal in a box, or to the whole collage, and whether the animal was found."
    box = np.array(box)/[*size, *size]
    for animal, answer in zip(each.animals, each.answers):
        found = np.array(animal.box)
        if overlap(found, box[None])[0] > 0.7 and area(found) < 2*area(box): return answer, True
    return whole, False

def of_collages(name, clf, collages):
    "Rows for collages: what is found, and answers to the whole collage and for each animal."
    found, more, one, each_right = [], [], [], []
    for collage, truth in collages:
        whole, each = clf.predict(collage), predict_each(clf, collage)
        ours = [answer_for(each, box, collage.size, whole) for _, box in truth]
        found.append(all(o[1] for o in ours))
        more.append(len(each.animals) > len(truth))
        for (pet, _), (answer, _) in zip(truth, ours):
            for rows, o in ((one, whole), (each_right, answer)):
                named = o.level == 'breed'
                rows.append((o.label == pet.label, o.species == pet.species, named and o.label == pet.label,
                             named and o.label != pet.label, o.level == 'none'))
    yield row(name, 'all found', found)
    yield row(name, 'more boxes than animals', more)
    for how, rows in {'one answer': one, 'an answer for each': each_right}.items():
        for figure, hits in zip(FIGURES, zip(*rows)): yield row(name, f'{how}: {figure}', hits)

def of_single(name, paths):
    "Rows for photographs of one animal, or of none."
    found = [len(find_animals(o)) for o in paths]
    yield row(name, 'an animal found', [o > 0 for o in found])
    yield row(name, 'several found', [o > 1 for o in found])

def milliseconds(name, photo, n=15):
    "A row for the median time of `find_animals` on one thread."
    times = []
    for _ in range(n):
        start = time.perf_counter()
        find_animals(photo)
        times.append(1000*(time.perf_counter() - start))
    return dict(images=name, figure='milliseconds', value=float(np.median(times)), n=n)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data', help='the Oxford-IIIT Pet data set')
    p.add_argument('--skip', required=True, help='a folder of photographs whose names are left out')
    p.add_argument('--pets', required=True, help='folders of other photographs of pets, with commas between them')
    p.add_argument('--things', required=True, help='a folder of photographs without a pet')
    p.add_argument('--n', type=int, default=150, help='of each kind (default: %(default)s)')
    p.add_argument('--seed', type=int, default=42)
    return p.parse_args()

def rows(args):
    rng, skip = np.random.default_rng(args.seed), {Path(o).name for o in photos(args.skip)}
    pets = [o for o in oxford_table(args.data).itertuples() if Path(o.path).name not in skip]
    things = photos(args.things)
    yield from of_single('one animal: Oxford', [o.path for o in pick(rng, pets, 2*args.n)])
    for o in args.pets.split(','): yield from of_single(f'one animal: {Path(o).name}', pick(rng, photos(o), 2*args.n))
    yield from of_single('no animal', things)
    clf = load_classifier(engine='onnxruntime')
    yield from of_collages('side by side', clf, side_by_side(rng, pets, args.n))
    yield from of_collages('small', clf, small(rng, pets, things, args.n))
    yield milliseconds('one look', opened(pets[0].path))
    yield milliseconds('five looks', Image.new('RGB', (400, 300)))

def main():
    args = arguments()
    found = pd.DataFrame([*rows(args)])
    print(found.round(3).to_string())
    found = found.assign(seed=args.seed, **environment())
    with atomic_path(OUT) as path: found.to_csv(path, index=False, float_format='%.4f')

if __name__ == '__main__': main()
