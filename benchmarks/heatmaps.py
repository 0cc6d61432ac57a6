"""Measure how often a heatmap points at the animal; write results/heatmaps.csv.

    python benchmarks/heatmaps.py [--n 740] [--seed 21] [--edge 222]

The pets are drawn, so their outline is known. The network is pretrained, its head trained by `learn.fit_head()`;
`untrained` has random weights and nothing to point at. A peak counts as inside if it lies on the animal's visible
pixels (`outline`), or within its box (`box`).

`as_drawn`: the held-out images of an ordinary set. Their animals stand in the middle, so the centre of the picture is a
strong baseline.
`at_the_edge`: for the same network, animals of half the size, left or right; the centre is hardly ever inside.
`planted_patch`: vision transformers that answer from a class token and have learned the colour of a patch, on which the
peak must lie. Integrated gradients, as `heatmap` computes them, are compared with Grad-CAM on the norm before the last
attention."""
import argparse, tempfile
from pathlib import Path
from types import SimpleNamespace
from unittest.mock import patch
import numpy as np, pandas as pd, timm, torch
from petpoo.core import atomic_path, environment, seed_everything
from petpoo.data.layouts import oxford_table
from petpoo.data.table import split_table
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.evaluate.heatmaps import heatmap, peak
from petpoo.sample import drawing as sample
from petpoo.sample.faults import draw_pets
from petpoo.train.heads import * # learn.fit_head
from petpoo.train.pipeline import get_dls
from petpoo.train.spec import InputSpec
from petpoo.train.training import get_learner, predict_probs

OUT = Path(__file__).parent.parent/'results'/'heatmaps.csv'
ARCH, SIZE = 'tf_efficientnet_lite2', 260
COLOURS, SIDE, PATCH, TOLERANCE = ['red', 'blue', 'none'], 48, 10, 4 # of the planted patches, in pixels

# --- drawn pets ---

def with_outline(breed, seed, **fixed):
    "What `draw_pet` draws, and the share of each pixel that the animal covers, taken before the light is added."
    light, covers = sample.light, []
    def spy(scene, animal, cover, *args):
        covers.append(np.asarray(cover)/255)
        return light(scene, animal, cover, *args)
    with patch.object(sample, 'light', spy): image, f = sample.draw_pet(breed, seed, **fixed)
    return image, f, covers[0]

def as_drawn(table, seed):
    "Draw the validation images of a set by `draw_pets` again: picture k follows from the seed and k."
    breeds, split = list(sample.BREEDS), dict(zip(table.path.map(lambda o: Path(o).stem), table.split))
    for k in range(len(table)):
        breed, number = breeds[k % len(breeds)], k//len(breeds) + 1
        if split[f'{breed}_{number}'] == 'valid': yield with_outline(breed, [seed, k])

def at_the_edge(n, seed):
    "Draw small animals, left and right in turn."
    breeds = list(sample.BREEDS)
    for k in range(n):
        yield with_outline(breeds[k % len(breeds)], [seed + 1, k], x=0.22 if k % 2 else 0.78, scale=0.5)

def hits(learn, image, f, cover):
    "For outline and box: are the peak and the centre inside, and what share of the picture do they cover?"
    box = np.zeros_like(cover)
    box[f['y0']:f['y1'], f['x0']:f['x1']] = 1
    x, y = (np.array(peak(heatmap(learn, image)))*image.width).astype(int)
    for where, o in dict(outline=cover > 0.5, box=box > 0).items():
        yield dict(where=where, peak=o[y, x], centre=o[image.height//2, image.width//2], covers=o.mean())

def look(learn, drawings, folder):
    "Two rows for each picture: its `hits`, and whether the answer was right."
    spec, paths = learn.dls.spec, [f'{folder}/{i}.png' for i in range(len(drawings))]
    for path, (image, _, _) in zip(paths, drawings): image.save(path)
    predicted = [spec.classes[i] for i in predict_probs(learn, paths).argmax(1)]
    for (image, f, cover), answer in zip(drawings, predicted):
        right = answer in (f['breed'], f['species'])
        for row in hits(learn, image, f, cover): yield row | dict(right=right)

def share(hits):
    "The share of hits with its interval."
    low, high = wilson_interval(hits.sum(), len(hits))
    return dict(n=len(hits), peak_inside=np.mean(hits), low=low, high=high)

def summary(rows, **facts):
    "A row each for outline and box, of all pictures, of those with a right answer, and of the others."
    for where, o in pd.DataFrame(rows).groupby('where', sort=False):
        for answers, part in dict(all=o, right=o[o.right], wrong=o[~o.right]).items():
            if part.empty: continue
            yield dict(
                **facts, answers=answers, where=where, **share(part.peak),
                centre_inside=part.centre.mean(), animal_covers=part.covers.mean())

def trained(table, target):
    "A learner with a trained head."
    learn = get_learner(get_dls(table, size=SIZE, target=target), ARCH)
    learn.fit_head()
    return learn

def untrained(table, target):
    "A learner with random weights."
    return get_learner(get_dls(table, size=SIZE, target=target), ARCH, pretrained=False)

def on_drawings(args):
    "Rows for the drawn pets."
    with tempfile.TemporaryDirectory() as tmp:
        draw_pets(f'{tmp}/pets', n=args.n, seed=args.seed)
        table = split_table(oxford_table(f'{tmp}/pets'))
        sets = dict(as_drawn=list(as_drawn(table, args.seed)), at_the_edge=list(at_the_edge(args.edge, args.seed)))
        for network, target in ((trained, 'label'), (trained, 'species'), (untrained, 'label')):
            learn = network(table, target)
            for name, drawings in sets.items():
                yield from summary(
                    look(learn, drawings, tmp), images=name, target=target, network=network.__name__,
                    method='HiResCAM', arch=ARCH, seed=args.seed)

# --- planted patches ---

def patches(n, seed):
    "Dim noise with a red or a blue patch or none (uint8); the classes; the upper left corners of the patches."
    rng = np.random.default_rng(seed)
    x, y = rng.integers(0, 128, (n, SIDE, SIDE, 3), dtype=np.uint8), rng.integers(0, 3, n)
    corners = rng.integers(0, SIDE - PATCH, (n, 2))
    for image, colour, (left, top) in zip(x, y, corners):
        if colour < 2: image[top:top + PATCH, left:left + PATCH] = ((220, 30, 30), (30, 30, 220))[colour]
    return x, y, corners

def batch(x): return (torch.from_numpy(x).permute(0, 3, 1, 2)/255 - 0.25)/0.25

def transformer(seed, depth, steps=80):
    "A small vision transformer that has learned the colours, as far as `heatmap` needs a learner."
    seed_everything(seed)
    body = timm.create_model(
        'vit_tiny_patch16_224', img_size=SIDE, patch_size=6, embed_dim=48, depth=depth, num_heads=2, num_classes=0)
    model = torch.nn.Sequential(body, torch.nn.Linear(48, len(COLOURS)))
    x, y, _ = patches(32*steps, seed)
    opt = torch.optim.AdamW(model.parameters(), 2e-3)
    for xb, yb in zip(batch(x).split(32), torch.from_numpy(y).split(32)):
        torch.nn.functional.cross_entropy(model(xb), yb).backward()
        opt.step()
        opt.zero_grad()
    spec = InputSpec((SIDE, SIDE), 'squish', COLOURS, {}, 'label', (0.25,)*3, (0.25,)*3)
    return SimpleNamespace(model=model.eval(), dls=SimpleNamespace(spec=spec))

def grad_cam(learn, image, colour):
    "Grad-CAM on the tokens before the last attention, for the log odds of a class."
    kept, i = [], COLOURS.index(colour)
    hook = learn.model[0].blocks[-1].norm1.register_forward_hook(lambda m, i, o: kept.append(o))
    logits = learn.model(batch(image[None]))[0]
    hook.remove()
    log_odds = logits[i] - torch.cat([logits[:i], logits[i + 1:]]).logsumexp(0)
    gradient, = torch.autograd.grad(log_odds, kept[0])
    heat = (gradient[0, 1:].mean(0)*kept[0][0, 1:].detach()).sum(1).view(1, 1, 8, 8).relu()
    return torch.nn.functional.interpolate(heat, size=(SIDE, SIDE), mode='bilinear')[0, 0].numpy()

METHODS = {'integrated gradients': heatmap, 'Grad-CAM, last norm1': grad_cam}

def on_patch(method, learn, n):
    "Yield for each picture with a patch whether the peak is on it, within the tolerance."
    for image, colour, corner in zip(*patches(n, 99)):
        if COLOURS[colour] == 'none': continue
        off = SIDE*np.array(peak(method(learn, image, COLOURS[colour]))) - corner
        yield bool(((off > -TOLERANCE) & (off < PATCH + TOLERANCE)).all())

def planted(seeds=4, n=60):
    "Rows for the planted patches."
    for depth in (2, 3):
        learners = [transformer(seed, depth) for seed in range(seeds)]
        for name, method in METHODS.items():
            found = np.array([o for learn in learners for o in on_patch(method, learn, n)])
            yield dict(
                images='planted_patch', target='colour', network=f'{seeds} transformers of {depth} blocks', method=name,
                answers='all', where='patch', **share(found), animal_covers=(PATCH + 2*TOLERANCE)**2/SIDE**2)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=740, help='pets in the ordinary set (default: %(default)s)')
    p.add_argument('--seed', type=int, default=21)
    p.add_argument('--edge', type=int, default=222, help='pets at the edge (default: %(default)s)')
    return p.parse_args()

def main():
    args = arguments()
    found = pd.DataFrame([*planted(), *on_drawings(args)])
    print(found.drop(columns=['method', 'arch', 'seed']).round(3).to_string())
    with atomic_path(OUT) as path: found.assign(**environment()).to_csv(path, index=False, float_format='%.4f')

if __name__ == '__main__': main()
