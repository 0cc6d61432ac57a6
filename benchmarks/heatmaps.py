"""Do heatmaps point at the animal? Drawn pets, whose outline is known, and the quick recipe; write results/heatmaps.csv.

    python benchmarks/heatmaps.py [--n 740] [--seed 21] [--edge 222]

`as_drawn`: the held-out images of an ordinary set. Their animals stand in the middle, so that the centre of the picture is a hard rival.
`at_the_edge`: for the same network, animals drawn half as large, left or right; the centre is hardly ever inside.
A peak counts as inside where the animal's own pixels are (`outline`; what stands before it left out), or within its box (`box`).
The network `untrained` has random weights and nothing to point at.
`planted_patch`: vision transformers that answer from a class token and have learned to name the colour of a patch, on which the peak must lie;
integrated gradients, as `heatmap` takes them, against Grad-CAM on the norm before the last attention."""
import argparse, tempfile
from pathlib import Path
from unittest.mock import patch
import numpy as np, pandas as pd, timm, torch
from petpoo.sample import drawing as sample
from petpoo.core import atomic_path, environment, seed_everything
from petpoo.data.layouts import oxford_table
from petpoo.data.table import split_table
from petpoo.train.phases import head_learner, quick
from petpoo.evaluate.heatmaps import _cells, _integrated_gradients, _log_odds, heatmap, peak
from petpoo.evaluate.bootstrap import wilson_interval
from petpoo.train.pipeline import get_dls
from petpoo.train.phases import fit
from petpoo.train.training import get_learner, predict_probs

OUT = Path(__file__).parent.parent/'results'/'heatmaps.csv'
ARCH, SIZE = 'tf_efficientnet_lite2', 260

def with_outline(breed, seed, **fixed):
    "What `draw_pet` draws, and the share of each pixel that the animal covers, caught on its way to the light."
    light, covers = sample.light, []
    def spy(scene, animal, cover, *args):
        covers.append(np.asarray(cover)/255)
        return light(scene, animal, cover, *args)
    with patch.object(sample, 'light', spy): image, f = sample.draw_pet(breed, seed, **fixed)
    return image, f, covers[0]

def as_drawn(table, seed):
    "The validation images of a set by `draw_pets`, drawn once more: picture k follows from the seed and k."
    breeds = list(sample.BREEDS)
    for k, name in enumerate(f'{breeds[k % len(breeds)]}_{k//len(breeds) + 1}' for k in range(len(table))):
        if table.split[name] == 'valid': yield with_outline(breeds[k % len(breeds)], [seed, k])

def at_the_edge(n, seed):
    breeds = list(sample.BREEDS)
    for k in range(n): yield with_outline(breeds[k % len(breeds)], [seed + 1, k], x=0.22 if k % 2 else 0.78, scale=0.5)

def look(learn, drawings, folder):
    "Two rows for each picture: was the answer right; are the peak and the centre on the animal, and in its box; what do these cover?"
    spec, paths = learn.dls.spec, [f'{folder}/{i}.png' for i in range(len(drawings))]
    for path, (image, _, _) in zip(paths, drawings): image.save(path)
    said = [spec.classes[i] for i in predict_probs(learn, paths).argmax(1)]
    for (image, f, cover), word in zip(drawings, said):
        box = np.zeros_like(cover)
        box[f['y0']:f['y1'], f['x0']:f['x1']] = 1
        x, y = (np.array(peak(heatmap(learn, image)))*image.width).astype(int)
        right = word in (f['breed'], f['species'])
        for where, o in dict(outline=cover > 0.5, box=box > 0).items():
            yield dict(where=where, right=right, peak=o[y, x], centre=o[image.height//2, image.width//2], covers=o.mean())

def summary(rows, **facts):
    "A row for outline and box each, of all pictures, of those named rightly, and of the others."
    for where, o in pd.DataFrame(rows).groupby('where', sort=False):
        for answers, part in dict(all=o, right=o[o.right], wrong=o[~o.right]).items():
            if len(part): yield dict(**facts, answers=answers, where=where, **share(part.peak), centre_inside=part.centre.mean(), animal_covers=part.covers.mean())

def share(hits):
    low, high = wilson_interval(hits.sum(), len(hits))
    return dict(n=len(hits), peak_inside=np.mean(hits), low=low, high=high)

def trained(table, target):
    learn = get_learner(get_dls(table, size=SIZE, target=target), ARCH)
    head = head_learner(learn)
    with head.no_bar(), head.no_logging(): fit(head, quick())
    return learn

def untrained(table, target):
    return get_learner(get_dls(table, size=SIZE, target=target), ARCH, pretrained=False)

def patches(n, seed, size=48, patch=10):
    "Dim noise with a red or a blue patch or none, normalised; the class; the patch's left upper corner."
    rng = np.random.default_rng(seed)
    x, y, at = rng.integers(0, 128, (n, size, size, 3), dtype=np.uint8), rng.integers(0, 3, n), rng.integers(0, size - patch, (n, 2))
    for im, c, (left, top) in zip(x, y, at):
        if c < 2: im[top:top+patch, left:left+patch] = ((220, 30, 30), (30, 30, 220))[c]
    return (torch.from_numpy(x).permute(0, 3, 1, 2)/255 - 0.25)/0.25, torch.from_numpy(y), at

def transformer(seed, depth, steps=80):
    seed_everything(seed)
    body = timm.create_model('vit_tiny_patch16_224', img_size=48, patch_size=6, embed_dim=48, depth=depth, num_heads=2, num_classes=0)
    model, (x, y, _) = torch.nn.Sequential(body, torch.nn.Linear(48, 3)), patches(32*steps, seed)
    opt = torch.optim.AdamW(model.parameters(), 2e-3)
    for xb, yb in zip(x.split(32), y.split(32)):
        torch.nn.functional.cross_entropy(model(xb), yb).backward()
        opt.step(); opt.zero_grad()
    return model.eval()

def grad_cam(model, x, i):
    "Grad-CAM on the tokens before the last attention."
    kept = []
    hook = model[0].blocks[-1].norm1.register_forward_hook(lambda m, i, o: kept.append(o))
    score = _log_odds(model(x), i).sum()
    hook.remove()
    gradient, = torch.autograd.grad(score, kept[0])
    return (gradient[0, 1:].mean(0)*kept[0][0, 1:].detach()).sum(1).view(1, 1, 8, 8)

def planted(seeds=4, n=60):
    "Is the peak on the patch, give or take 4 of 48 pixels?"
    methods = {'integrated gradients': lambda *o: _cells(_integrated_gradients(*o)), 'Grad-CAM, last norm1': grad_cam}
    for depth in (2, 3):
        hits = {o: [] for o in methods}
        for model in (transformer(seed, depth) for seed in range(seeds)):
            for x, c, at in zip(*patches(n, 99)):
                if c == 2: continue
                for name, method in methods.items():
                    heat = torch.nn.functional.interpolate(method(model, x[None], int(c)).relu(), size=(48, 48), mode='bilinear')[0, 0].numpy()
                    off = 48*np.array(peak(heat)) - at
                    hits[name].append(bool(((off > -4) & (off < 14)).all()))
        for name, o in hits.items(): yield dict(images='planted_patch', target='colour', network=f'{seeds} transformers of {depth} blocks', method=name, answers='all', where='patch', **share(np.array(o)), animal_covers=18**2/48**2)

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--n', type=int, default=740); p.add_argument('--seed', type=int, default=21); p.add_argument('--edge', type=int, default=222)
    args = p.parse_args()
    found = list(planted())
    with tempfile.TemporaryDirectory() as tmp:
        sample.draw_pets(f'{tmp}/pets', n=args.n, seed=args.seed)
        table = split_table(oxford_table(f'{tmp}/pets'))
        sets = dict(as_drawn=list(as_drawn(table.set_index(table.path.map(lambda o: Path(o).stem)), args.seed)), at_the_edge=list(at_the_edge(args.edge, args.seed)))
        for network, target in ((trained, 'label'), (trained, 'species'), (untrained, 'label')):
            learn = network(table, target)
            for name, drawings in sets.items():
                found += summary(look(learn, drawings, tmp), images=name, target=target, network=network.__name__, method='HiResCAM', arch=ARCH, seed=args.seed)
    print(pd.DataFrame(found).drop(columns=['method', 'arch', 'seed']).round(3).to_string())
    with atomic_path(OUT) as path: pd.DataFrame(found).assign(**environment()).to_csv(path, index=False, float_format='%.4f')

if __name__ == '__main__': main()
