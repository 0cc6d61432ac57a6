"""Pairs of the same picture among drawn products on one background, drawn pets and photographs; writes results/twins.csv.

    python benchmarks/twins.py                       drawn sets alone
    python benchmarks/twins.py path/to/photographs   and each folder of photographs named

Every set holds different objects and, of some, edited copies of the same file. "before" is the verdict by miniatures alone."""
import argparse, os, tempfile, time
from pathlib import Path
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps
from petpoo.core import environment
from petpoo.data.alike import SAME, look_alikes, verify
from petpoo.data.measures import measure_images
from petpoo.sample.faults import draw_pets

SIDE = 360 # of a drawn photograph
WORDS = 'ALPHA BRAVO CEDAR DELTA EMBER FJORD GROVE HAZEL INDIGO JUNO KARMA LOTUS MANGO NORTH OCEAN PEARL QUARTZ RAVEN SOLAR TIGER UMBRA VEGA WILLOW XENON YACHT ZEBRA'.split()

# --- one background ---

def smooth(rng, side, cell, low, high):
    "Soft noise: `cell` pixels from one random value to the next."
    small = Image.fromarray(rng.uniform(low, high, (side//cell + 2,)*2).astype(np.float32))
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))

def cloth(rng, side, colour, weave=6, folds=20):
    "A cloth with its weave and folds, the same for every object that lies on it."
    y, x = np.mgrid[:side, :side]
    light = smooth(rng, side, side//5, -folds, folds) + weave*np.sin(x*1.3)*np.sin(y*1.3) + rng.normal(0, weave/2, (side, side))
    return Image.fromarray((np.asarray(colour, float) + light[..., None]).clip(0, 255).astype(np.uint8))

# --- objects: each draws itself on a transparent sheet of 360 x 360 ---

def font(size): return ImageFont.load_default(size)

def motif(d, rng, box, colour):
    "A print: words, a badge, stripes, or a few shapes."
    (x0, y0, x1, y1), w = box, box[2] - box[0]
    kind = rng.integers(4)
    if kind == 0:
        for k, word in enumerate(rng.choice(WORDS, 2, replace=False)): d.text((x0, y0 + k*w/3), word, colour, font(w/4.5))
    if kind == 1:
        a = rng.uniform(0, 360)
        d.ellipse((x0, y0, x0+w*.8, y0+w*.8), outline=colour, width=4)
        d.pieslice((x0+8, y0+8, x0+w*.8-8, y0+w*.8-8), a, a + rng.uniform(60, 250), fill=colour)
    if kind == 2:
        for y in np.arange(y0, y1, step := rng.uniform(9, 22)): d.line((x0, y, x0 + w*rng.uniform(.5, 1), y), colour, int(step/2.5))
    if kind == 3:
        for _ in range(rng.integers(4, 9)):
            x, y, r = rng.uniform(x0, x1), rng.uniform(y0, y1), rng.uniform(5, w/6)
            d.regular_polygon((x, y, r), int(rng.integers(3, 7)), rng.uniform(0, 90), fill=colour)

def shirt(d, rng):
    light = tuple(int(o) for o in rng.choice([[235, 232, 226], [40, 44, 60], [225, 215, 190]]))
    body = [(130, 70), (160, 82), (200, 82), (230, 70), (300, 120), (272, 160), (248, 140), (248, 310), (112, 310), (112, 140), (88, 160), (60, 120)]
    d.polygon([(x + rng.normal(0, 2), y + rng.normal(0, 2)) for x, y in body], fill=light, outline=(90, 90, 90))
    motif(d, rng, (135, 125, 225, 215), tuple(int(o) for o in rng.integers(20, 230, 3)))

def paper(d, rng):
    d.polygon([(x + rng.normal(0, 2), y + rng.normal(0, 2)) for x, y in [(80, 40), (280, 40), (280, 320), (80, 320)]], fill=(250, 250, 247), outline=(205, 205, 205))
    if rng.random() < .6:
        for y in np.arange(65, 65 + rng.integers(5, 22)*11, 11):
            d.text((98, y), ' '.join(rng.choice(WORDS, 4)).lower()[:int(rng.integers(14, 34))], (70, 70, 75), font(9))
    for _ in range(rng.integers(2, 6)): # creases
        (xa, xb), (ya, yb) = rng.uniform(80, 280, 2), rng.uniform(40, 320, 2)
        d.line((xa, ya, xb, yb), (222, 222, 220), 2); d.line((xa+2, ya, xb+2, yb), (255, 255, 255), 1)

def cell(d, rng):
    d.rectangle((0, 0, 360, 360), fill=tuple(int(o) for o in [118 + rng.normal(0, 4)]*3))
    marked = rng.random() < .9
    for _ in range(rng.integers(0, 4) if marked else 0): # dull regions
        x, y, r, g = rng.uniform(20, 340), rng.uniform(20, 340), rng.uniform(10, 40), int(rng.uniform(92, 114))
        d.ellipse((x-r, y-r, x+r, y+r), fill=(g, g, g))
    for _ in range(rng.integers(1, 4) if marked else 0): # cracks
        p = rng.uniform(30, 330, 2)
        for _ in range(rng.integers(3, 9)):
            q = (p + rng.normal(0, 22, 2)).clip(6, 354)
            d.line((*p, *q), (60, 60, 60), 2); p = q
    for x in (90, 180, 270): d.rectangle((x-4, 0, x+4, 360), fill=(40, 40, 40))
    for x in (0, 352): d.rectangle((x, 0, x+8, 360), fill=(20, 20, 20)); d.rectangle((0, x, 360, x+8), fill=(20, 20, 20))
    for y in range(12, 360, 9): d.line((0, y, 360, y), (106, 106, 106), 1)
    return marked

def box(d, rng):
    front = tuple(int(o) for o in rng.choice([[188, 152, 108], [215, 216, 220], [60, 96, 140]]))
    d.polygon([(90, 110), (240, 110), (275, 80), (125, 80)], fill=tuple(int(o*.85) for o in front))
    d.polygon([(240, 110), (275, 80), (275, 260), (240, 290)], fill=tuple(int(o*.7) for o in front))
    d.rectangle((90, 110, 240, 290), fill=front, outline=(70, 60, 50))
    motif(d, rng, (105, 130, 215, 240), tuple(int(o) for o in rng.integers(20, 230, 3)))
    for x in np.cumsum(rng.integers(2, 5, 14)) + 110: d.line((x, 262, x, 280), (25, 25, 25), int(rng.integers(1, 3)))

def plate(d, rng):
    d.ellipse((50, 50, 310, 310), fill=(240, 240, 236), outline=(190, 190, 190), width=2)
    d.ellipse((95, 95, 265, 265), fill=(246, 246, 243), outline=(212, 212, 212), width=3)
    colour, n, turn = tuple(int(o) for o in rng.integers(20, 200, 3)), int(rng.integers(6, 30)), rng.uniform(0, 7)
    sides, r = int(rng.integers(3, 7)), rng.uniform(5, 11)
    for k in range(n): d.regular_polygon((180 + 108*np.cos(turn + k*2*np.pi/n), 180 + 108*np.sin(turn + k*2*np.pi/n), r), sides, k*360/n, fill=colour)
    if rng.random() < .5: motif(d, rng, (140, 140, 220, 220), colour)

PRODUCTS = dict( # name -> how an object is drawn, and the colour of the cloth
    shirts=(shirt, (170, 34, 40)), paper=(paper, (228, 227, 224)), cells=(cell, (14, 14, 16)), boxes=(box, (120, 124, 126)), plates=(plate, (96, 112, 92)))

# --- the camera ---

def expose(im, rng, light, noise=3):
    "A lamp from one side, and the camera's noise."
    a = np.asarray(im, np.float32)
    y, x = np.mgrid[-1:1:a.shape[0]*1j, -1:1:a.shape[1]*1j]
    a = a * (1 + light*rng.normal(0, .06) + light*.05*(rng.normal()*x + rng.normal()*y))[..., None]
    return Image.fromarray((a + rng.normal(0, noise, a.shape)).clip(0, 255).astype(np.uint8))

def photograph(sheet, ground, rng, shift=4., turn=1., light=1.):
    "An object put down by hand on the cloth, and photographed by a camera that stands still."
    place = [round(o) for o in rng.normal(0, shift, 2)]
    laid = sheet.rotate(rng.normal(0, turn), Image.Resampling.BICUBIC, translate=place)
    shade = Image.new('RGBA', laid.size, (0, 0, 0, 0)); shade.putalpha(laid.getchannel('A').filter(ImageFilter.GaussianBlur(4)).point(lambda v: v*.45))
    scene = ground.convert('RGBA')
    scene.alpha_composite(shade.rotate(0, translate=(3, 4))); scene.alpha_composite(laid)
    return expose(scene.convert('RGB').filter(ImageFilter.GaussianBlur(.6)), rng, light)

# --- copies of a file ---

def crop(im, rng, most=.12):
    (left, top, right, bottom), (w, h) = rng.uniform(0, most/2, 4), im.size
    return im.crop((round(left*w), round(top*h), round(w - right*w), round(h - bottom*h)))

def scaled(im, rng):
    factor = rng.uniform(.45, .9)
    return im.resize([round(o*factor) for o in im.size])

def relit(im, rng):
    gamma, gain, offset = rng.uniform(.7, 1.45), rng.uniform(.8, 1.1), rng.uniform(-12, 12)
    return im.point(lambda v: 255*(v/255)**gamma*gain + offset)

def recoloured(im, rng):
    gains = rng.uniform(.85, 1.15, 3)
    im = ImageEnhance.Color(im).enhance(rng.uniform(.4, 1.6))
    return Image.merge('RGB', [o.point(lambda v, g=g: v*g) for o, g in zip(im.split(), gains)])

def turned(im, rng):
    angle, (w, h) = rng.uniform(.5, 2)*rng.choice([-1, 1]), im.size
    margin = np.tan(np.radians(abs(angle)))*max(w, h)/2
    return im.rotate(angle, Image.Resampling.BICUBIC).crop((margin, margin, w-margin, h-margin))

COPIES = dict( # kind -> what is done to the picture, and the quality of the JPEG
    crop=(crop, 88), resize=(scaled, 88), recompress=(lambda im, rng: im, 25), mirror=(lambda im, rng: ImageOps.mirror(im), 88), relight=(relit, 88), colour=(recoloured, 88),
    blur=(lambda im, rng: im.filter(ImageFilter.GaussianBlur(max(im.size)/360*rng.uniform(.7, 1.6))), 88),
    repost=(lambda im, rng: relit(scaled(crop(im, rng, .08), rng), rng), 55), rotate=(turned, 88))

def add_copies(paths, folder, rng, each):
    "Edited copies of different originals: a table of path, original, kind."
    rows, left = [], iter(rng.permutation(len(paths)))
    for kind, (edit, quality) in COPIES.items():
        for k in range(each):
            original, path = paths[next(left)], f'{folder}/{kind} {k}.jpg'
            with Image.open(original) as im: edit(im.convert('RGB'), rng).save(path, quality=quality)
            rows.append(dict(path=path, original=original, kind=kind))
    return pd.DataFrame(rows)

# --- sets ---

def products(name, folder, seed, objects=90):
    "Different objects on one background: all paths, those that can be told from others, and some photographed once more after a push."
    draw, colour = PRODUCTS[name]
    by_hand = dict(shift=.7, turn=.2) if draw is cell else {} # cells are cut out by a machine
    rng = np.random.default_rng([seed, *name.encode()])
    ground, paths, marked, again = cloth(rng, SIDE, colour), [], [], []
    for k in range(objects):
        sheet = Image.new('RGBA', (SIDE, SIDE), (0, 0, 0, 0))
        told = draw(ImageDraw.Draw(sheet), rng) is not False # a plain cell cannot be told from another
        photograph(sheet, ground, rng, **by_hand).save(f'{folder}/object {k}.jpg', quality=88)
        paths.append(f'{folder}/object {k}.jpg')
        if told: marked.append(paths[-1])
        if k % 15: continue
        photograph(sheet, ground, rng, **by_hand).save(f'{folder}/again {k}.jpg', quality=88)
        again.append(dict(path=f'{folder}/again {k}.jpg', original=paths[-1], kind='again'))
    return paths, marked, pd.DataFrame(again)

def pets(folder, seed):
    paths = draw_pets(f'{folder}/pets', n=185, size=256, seed=seed).path.tolist()
    return paths, paths, pd.DataFrame()

def photographs(source):
    paths = sorted(str(p) for p in Path(source).rglob('*.jpg'))
    return lambda folder, seed: (paths, paths, pd.DataFrame())

# --- what is found ---

def one_set(name, make, seed, folder):
    "Rows of the results: a kind of copy, and how many of its pairs are found before and after the pictures are looked at."
    folder.mkdir()
    rng = np.random.default_rng([seed, 7])
    paths, marked, again = make(str(folder), seed)
    copies = add_copies(marked, str(folder), rng, each=min(10, len(marked)//len(COPIES)))
    origin = dict(zip(paths, paths)) | dict(zip(copies.path, copies.original))
    thing = origin | ({} if again.empty else dict(zip(again.path, again.original)))
    files = list(thing)
    minis = measure_images(files)[1]
    began = time.perf_counter()
    before = look_alikes(minis)
    middle = time.perf_counter()
    after = verify(files, before)
    seconds = dict(seconds_before=middle - began, seconds_after=time.perf_counter() - began)
    named = {k: {frozenset((files[a], files[b])) for a, b in zip(o.i, o.j)} for k, o in dict(before=before, after=after).items()}
    known = [o for o in named['after'] if len({thing[p] for p in o}) > 1 and equal(*o)]
    wrong = {k: sum(len({thing[p] for p in o}) > 1 and o not in known for o in v) for k, v in named.items()}
    right = {k: sum(len({thing[p] for p in o}) == 1 for o in v) for k, v in named.items()}
    whole = {f'precision_{k}': right[k]/max(right[k] + wrong[k], 1) for k in named} | {f'wrong_{k}': wrong[k] for k in named}
    for kind, rows in [*copies.groupby('kind', sort=False), *([] if again.empty else again.groupby('kind'))]:
        pairs = [frozenset(o) for o in zip(rows.path, rows.original)]
        found = {f'found_{k}': sum(o in v for o in pairs) for k, v in named.items()}
        yield dict(set=name, seed=seed, images=len(files), kind=kind, pairs=len(pairs)) | found | whole | seconds

def equal(a, b):
    "Whether two photographs have the same pixels, as some in real sets do."
    with Image.open(a) as x, Image.open(b) as y: return x.size == y.size and x.convert('RGB').tobytes() == y.convert('RGB').tobytes()

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('photographs', nargs='*'); p.add_argument('--seeds', type=int, nargs='+', default=[3, 4])
    p.add_argument('--out', default=Path(__file__).parent.parent/'results'/'twins.csv')
    args = p.parse_args()
    made = {name: lambda folder, seed, name=name: products(name, folder, seed) for name in PRODUCTS} | dict(pets=pets)
    made |= {Path(o).name: photographs(o) for o in args.photographs}
    rows = []
    with tempfile.TemporaryDirectory() as tmp:
        os.environ['PETPOO_CACHE'] = f'{tmp}/cache'
        for seed in args.seeds:
            for name, make in made.items():
                rows += one_set(name, make, seed, Path(tmp)/f'{name} {seed}')
                last = pd.DataFrame(rows).query('set == @name and seed == @seed')
                print(last.groupby(['set', 'seed', 'precision_before', 'precision_after', 'wrong_before', 'wrong_after', 'seconds_before', 'seconds_after'])[['pairs', 'found_before', 'found_after']].sum().reset_index().to_string(header=len(rows) == len(last)), flush=True)
    table = pd.DataFrame(rows)
    table.insert(7, 'recall_before', table.found_before/table.pairs); table.insert(8, 'recall_after', table.found_after/table.pairs)
    table.assign(limit=SAME, **environment(('petpoo', 'numpy', 'scipy', 'pillow'))).to_csv(args.out, index=False, float_format='%.4f')

if __name__ == '__main__': main()
