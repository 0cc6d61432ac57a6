"""Measure how many edited copies of a picture are found, and how many different pictures are accused; write
results/twins.csv.

    python benchmarks/twins.py                       drawn sets alone
    python benchmarks/twins.py path/to/photographs   and each folder of photographs named

The sets are drawn products on one background, drawn pets and photographs. Every set holds different objects and, of
some of them, edited copies of the file. "before" is the verdict by miniatures alone, "after" the one at 256 pixels."""
import argparse, os, tempfile, time
from dataclasses import dataclass
from functools import partial
from pathlib import Path
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter, ImageFont, ImageOps
from petpoo.core import environment
from petpoo.data.alike import SAME, look_alikes, verify
from petpoo.data.measures import measure_images
from petpoo.sample.faults import draw_pets

SIDE = 360 # of a drawn photograph
WORDS = '''ALPHA BRAVO CEDAR DELTA EMBER FJORD GROVE HAZEL INDIGO JUNO KARMA LOTUS MANGO NORTH OCEAN PEARL QUARTZ RAVEN
    SOLAR TIGER UMBRA VEGA WILLOW XENON YACHT ZEBRA'''.split()

# --- one background ---

def smooth(rng, side, cell, low, high):
    "Soft noise: `cell` pixels from one random value to the next."
    small = Image.fromarray(rng.uniform(low, high, (side//cell + 2,)*2).astype(np.float32))
    return np.asarray(small.resize((side, side), Image.Resampling.BICUBIC))

def cloth(rng, side, colour, weave=6, folds=20):
    "A cloth with its weave and folds, the same for every object that lies on it."
    y, x = np.mgrid[:side, :side]
    folded = smooth(rng, side, side//5, -folds, folds)
    light = folded + weave*np.sin(x*1.3)*np.sin(y*1.3) + rng.normal(0, weave/2, (side, side))
    return Image.fromarray((np.asarray(colour, float) + light[..., None]).clip(0, 255).astype(np.uint8))

# --- objects: each draws itself on a transparent sheet of 360 x 360 ---

def font(size): return ImageFont.load_default(size)

def words(d, rng, box, colour):
    x, y, w = box[0], box[1], box[2] - box[0]
    for k, word in enumerate(rng.choice(WORDS, 2, replace=False)): d.text((x, y + k*w/3), word, colour, font(w/4.5))

def badge(d, rng, box, colour):
    x, y, w = box[0], box[1], box[2] - box[0]
    a = rng.uniform(0, 360)
    d.ellipse((x, y, x+w*.8, y+w*.8), outline=colour, width=4)
    d.pieslice((x+8, y+8, x+w*.8-8, y+w*.8-8), a, a + rng.uniform(60, 250), fill=colour)

def stripes(d, rng, box, colour):
    x, w, step = box[0], box[2] - box[0], rng.uniform(9, 22)
    for y in np.arange(box[1], box[3], step): d.line((x, y, x + w*rng.uniform(.5, 1), y), colour, int(step/2.5))

def polygons(d, rng, box, colour):
    x0, y0, x1, y1 = box
    for _ in range(rng.integers(4, 9)):
        x, y, r = rng.uniform(x0, x1), rng.uniform(y0, y1), rng.uniform(5, (x1 - x0)/6)
        d.regular_polygon((x, y, r), int(rng.integers(3, 7)), rng.uniform(0, 90), fill=colour)

def motif(d, rng, box, colour):
    "A print: words, a badge, stripes, or a few shapes."
    (words, badge, stripes, polygons)[rng.integers(4)](d, rng, box, colour)

def colour_of(rng, low, high): return tuple(int(o) for o in rng.integers(low, high, 3))
def one_of(rng, colours): return tuple(int(o) for o in rng.choice(colours))
def jittered(rng, corners): return [(x + rng.normal(0, 2), y + rng.normal(0, 2)) for x, y in corners]

def shirt(d, rng):
    light = one_of(rng, [[235, 232, 226], [40, 44, 60], [225, 215, 190]])
    body = [
        (130, 70), (160, 82), (200, 82), (230, 70), (300, 120), (272, 160), (248, 140), (248, 310), (112, 310),
        (112, 140), (88, 160), (60, 120)]
    d.polygon(jittered(rng, body), fill=light, outline=(90, 90, 90))
    motif(d, rng, (135, 125, 225, 215), colour_of(rng, 20, 230))

def paper(d, rng):
    corners = jittered(rng, [(80, 40), (280, 40), (280, 320), (80, 320)])
    d.polygon(corners, fill=(250, 250, 247), outline=(205, 205, 205))
    if rng.random() < .6:
        for y in np.arange(65, 65 + rng.integers(5, 22)*11, 11):
            d.text((98, y), ' '.join(rng.choice(WORDS, 4)).lower()[:int(rng.integers(14, 34))], (70, 70, 75), font(9))
    for _ in range(rng.integers(2, 6)): # creases
        (xa, xb), (ya, yb) = rng.uniform(80, 280, 2), rng.uniform(40, 320, 2)
        d.line((xa, ya, xb, yb), (222, 222, 220), 2)
        d.line((xa+2, ya, xb+2, yb), (255, 255, 255), 1)

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
            d.line((*p, *q), (60, 60, 60), 2)
            p = q
    for x in (90, 180, 270): d.rectangle((x-4, 0, x+4, 360), fill=(40, 40, 40))
    for x in (0, 352):
        d.rectangle((x, 0, x+8, 360), fill=(20, 20, 20))
        d.rectangle((0, x, 360, x+8), fill=(20, 20, 20))
    for y in range(12, 360, 9): d.line((0, y, 360, y), (106, 106, 106), 1)
    return marked

def box(d, rng):
    front = one_of(rng, [[188, 152, 108], [215, 216, 220], [60, 96, 140]])
    d.polygon([(90, 110), (240, 110), (275, 80), (125, 80)], fill=tuple(int(o*.85) for o in front))
    d.polygon([(240, 110), (275, 80), (275, 260), (240, 290)], fill=tuple(int(o*.7) for o in front))
    d.rectangle((90, 110, 240, 290), fill=front, outline=(70, 60, 50))
    motif(d, rng, (105, 130, 215, 240), colour_of(rng, 20, 230))
    for x in np.cumsum(rng.integers(2, 5, 14)) + 110: d.line((x, 262, x, 280), (25, 25, 25), int(rng.integers(1, 3)))

def plate(d, rng):
    d.ellipse((50, 50, 310, 310), fill=(240, 240, 236), outline=(190, 190, 190), width=2)
    d.ellipse((95, 95, 265, 265), fill=(246, 246, 243), outline=(212, 212, 212), width=3)
    colour, n, turn = colour_of(rng, 20, 200), int(rng.integers(6, 30)), rng.uniform(0, 7)
    sides, r = int(rng.integers(3, 7)), rng.uniform(5, 11)
    for k in range(n):
        a = turn + k*2*np.pi/n
        d.regular_polygon((180 + 108*np.cos(a), 180 + 108*np.sin(a), r), sides, k*360/n, fill=colour)
    if rng.random() < .5: motif(d, rng, (140, 140, 220, 220), colour)

PRODUCTS = dict( # name -> how an object is drawn, and the colour of the cloth
    shirts=(shirt, (170, 34, 40)),
    paper=(paper, (228, 227, 224)),
    cells=(cell, (14, 14, 16)),
    boxes=(box, (120, 124, 126)),
    plates=(plate, (96, 112, 92)))

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
    blurred = laid.getchannel('A').filter(ImageFilter.GaussianBlur(4))
    shade = Image.new('RGBA', laid.size, (0, 0, 0, 0))
    shade.putalpha(blurred.point(lambda v: v*.45))
    scene = ground.convert('RGBA')
    scene.alpha_composite(shade.rotate(0, translate=(3, 4)))
    scene.alpha_composite(laid)
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

def recompressed(im, rng): return im
def mirrored(im, rng): return ImageOps.mirror(im)
def blurred(im, rng): return im.filter(ImageFilter.GaussianBlur(max(im.size)/360*rng.uniform(.7, 1.6)))
def reposted(im, rng): return relit(scaled(crop(im, rng, .08), rng), rng)

COPIES = dict( # kind -> what is done to the picture, and the quality of the JPEG
    crop=(crop, 88), resize=(scaled, 88), recompress=(recompressed, 25), mirror=(mirrored, 88), relight=(relit, 88),
    colour=(recoloured, 88), blur=(blurred, 88), repost=(reposted, 55), rotate=(turned, 88))

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
    "Paths of different objects on one background; those that differ visibly; a table of some photographed once more."
    draw, colour = PRODUCTS[name]
    by_hand = dict(shift=.7, turn=.2) if draw is cell else {} # cells are cut out by a machine
    rng = np.random.default_rng([seed, *name.encode()])
    ground, paths, marked, again = cloth(rng, SIDE, colour), [], [], []
    for k in range(objects):
        sheet, path = Image.new('RGBA', (SIDE, SIDE), (0, 0, 0, 0)), f'{folder}/object {k}.jpg'
        told = draw(ImageDraw.Draw(sheet), rng) is not False # a plain cell looks like any other
        photograph(sheet, ground, rng, **by_hand).save(path, quality=88)
        paths.append(path)
        if told: marked.append(path)
        if k % 15: continue
        again.append(dict(path=f'{folder}/again {k}.jpg', original=path, kind='again'))
        photograph(sheet, ground, rng, **by_hand).save(again[-1]['path'], quality=88)
    return paths, marked, pd.DataFrame(again)

def pets(folder, seed):
    paths = draw_pets(f'{folder}/pets', n=185, size=256, seed=seed).path.tolist()
    return paths, paths, pd.DataFrame()

def photographs(source):
    paths = sorted(str(p) for p in Path(source).rglob('*.jpg'))
    return lambda folder, seed: (paths, paths, pd.DataFrame())

# --- what is found ---

@dataclass
class Planted:
    "The files of a set, and what is known of them."
    files: list # paths
    thing: dict # path -> the object that it shows
    copies: pd.DataFrame # path, original, kind

def plant(make, seed, folder):
    "Make a set with copies."
    folder.mkdir()
    rng = np.random.default_rng([seed, 7])
    paths, marked, again = make(str(folder), seed)
    copies = add_copies(marked, str(folder), rng, each=min(10, len(marked)//len(COPIES)))
    planted = pd.concat([copies, again])
    thing = dict(zip(paths, paths)) | dict(zip(planted.path, planted.original))
    return Planted(list(thing), thing, planted)

def search(files):
    "The pairs found before and after the pictures are compared, as sets of paths, and the seconds."
    minis = measure_images(files)[1]
    began = time.perf_counter()
    before = look_alikes(minis)
    middle = time.perf_counter()
    after = verify(files, before)
    seconds = dict(seconds_before=middle - began, seconds_after=time.perf_counter() - began)
    found = dict(before=before, after=after)
    return {k: {frozenset((files[a], files[b])) for a, b in zip(o.i, o.j)} for k, o in found.items()}, seconds

def judge(named, thing):
    "Precision and wrong pairs, before and after."
    def differ(pair): return len({thing[p] for p in pair}) > 1
    known = {o for o in named['after'] if differ(o) and equal(*o)}
    wrong = {k: sum(differ(o) and o not in known for o in v) for k, v in named.items()}
    right = {k: sum(not differ(o) for o in v) for k, v in named.items()}
    precision = {f'precision_{k}': right[k]/max(right[k] + wrong[k], 1) for k in named}
    return precision | {f'wrong_{k}': wrong[k] for k in named}

def one_set(name, make, seed, folder):
    "Rows of the results: for each kind of copy, how many pairs are found before and after the comparison."
    planted = plant(make, seed, folder)
    named, seconds = search(planted.files)
    whole = judge(named, planted.thing)
    for kind, rows in planted.copies.groupby('kind', sort=False):
        pairs = [frozenset(o) for o in zip(rows.path, rows.original)]
        found = {f'found_{k}': sum(o in v for o in pairs) for k, v in named.items()}
        facts = dict(set=name, seed=seed, images=len(planted.files), kind=kind, pairs=len(pairs))
        yield facts | found | whole | seconds

def equal(a, b):
    "Whether two photographs have the same pixels, as some in real sets do."
    with Image.open(a) as x, Image.open(b) as y:
        return x.size == y.size and x.convert('RGB').tobytes() == y.convert('RGB').tobytes()

def show(rows, header):
    "Print the totals of a set."
    keys = ['set', 'seed'] + [f'{o}_{k}' for o in ('precision', 'wrong', 'seconds') for k in ('before', 'after')]
    total = pd.DataFrame(rows).groupby(keys)[['pairs', 'found_before', 'found_after']].sum().reset_index()
    print(total.to_string(header=header), flush=True)

def write(rows, out):
    "Write the results with recall."
    table = pd.DataFrame(rows)
    table.insert(7, 'recall_before', table.found_before/table.pairs)
    table.insert(8, 'recall_after', table.found_after/table.pairs)
    facts = dict(limit=SAME, **environment(('petpoo', 'numpy', 'scipy', 'pillow')))
    table.assign(**facts).to_csv(out, index=False, float_format='%.4f')

def makers(folders):
    "Name -> what makes a set in a folder."
    made = {name: partial(products, name) for name in PRODUCTS} | dict(pets=pets)
    return made | {Path(o).name: photographs(o) for o in folders}

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('photographs', nargs='*', help='folders')
    p.add_argument('--seeds', type=int, nargs='+', default=[3, 4])
    p.add_argument('--out', default=Path(__file__).parent.parent/'results'/'twins.csv')
    return p.parse_args()

def main():
    args, rows = arguments(), []
    with tempfile.TemporaryDirectory() as tmp:
        os.environ['PETPOO_CACHE'] = f'{tmp}/cache'
        for seed in args.seeds:
            for name, make in makers(args.photographs).items():
                found = list(one_set(name, make, seed, Path(tmp)/f'{name} {seed}'))
                show(found, header=not rows)
                rows += found
    write(rows, args.out)

if __name__ == '__main__': main()
