"""Measure the static page with weights in 8 and in 16 bits, in Chromium; write results/web.csv.

    python benchmarks/web.py path/to/oxford-iiit-pet [--photos 400] [--ort onnxruntime-web.tgz]

`wire_mb`: all files that a visitor downloads. `load_s`: from the address to a page that is ready, from this machine.
`first_s`: from choosing a photo to its answer on a page that has just loaded. `photo_ms`: the same later, the median.
`large_ms`: for a JPEG of 12 million pixels. Both pages are measured in turns, and the best round counts, so that other
programs disturb little. `same_label`, `same_level` and `difference` (of the probability of the first class, the mean
and the largest) compare with 16 bits in Python. `large_same` and `large_difference` compare the browser with Python on
10 photographs enlarged to 12 million pixels. The packaged classifier was trained on these photographs, so its accuracy
on them is no estimate for others."""
import argparse, random, shutil, sys, tempfile
from pathlib import Path
import numpy as np
import pandas as pd
from PIL import Image
from playwright.sync_api import sync_playwright
sys.path.insert(0, str(Path(__file__).parent.parent/'.ci'))
from web import Visit, apart, bundle_of, package, served
from petpoo.classify.animals import predict_each
from petpoo.classify.web import ORT_VERSION, export_web
from petpoo.core import environment
from petpoo.learner import MODEL

OUT = Path(__file__).parent.parent/'results'/'web.csv'
ROUNDS, LATER, LARGE = 2, 5, 10

def enlarged(folder, photos):
    "The photos as JPEGs of 12 million pixels."
    paths = [folder/f'large{i}.jpg' for i in range(len(photos))]
    for path, photo in zip(paths, photos):
        Image.open(photo).convert('RGB').resize((4032, 3024), Image.Resampling.BICUBIC).save(path, quality=88)
    return paths

def timed(browser, url, photos, large):
    visit = Visit(browser, url)
    row = dict(load_s=visit.seconds, first_s=visit.ask(photos[0])[1])
    row['photo_ms'] = 1000*np.median([visit.ask(o)[1] for o in photos[1:LATER + 1]])
    row['large_ms'] = 1000*np.median([visit.ask(o)[1] for o in large[:3]])
    visit.close()
    return row

def compared(mine, theirs, truth):
    apart = [abs(b.confidence - a.probs[b.label]) for a, b in zip(mine, theirs)]
    def share(of): return np.mean([of(a) == of(b) for a, b in zip(mine, theirs)])
    return dict(
        accuracy=np.mean([a.label == o for a, o in zip(mine, truth)]), same_label=share(lambda o: o.label),
        same_level=share(lambda o: o.level), difference_mean=np.mean(apart), difference=max(apart))

def on_large(browser, url, clf, large):
    "The browser against Python, where a decoder reduces the photo."
    visit, rows = Visit(browser, url), []
    for o in large:
        rows.append(apart(visit.ask(o)[0]['answers'], predict_each(clf, o)))
    visit.close()
    return dict(large_difference=max(o[0] for o in rows), large_same=np.mean([o[1] for o in rows]))

def main():
    p = argparse.ArgumentParser()
    p.add_argument('data', type=Path)
    p.add_argument('--photos', type=int, default=400)
    p.add_argument('--ort', type=Path)
    args = p.parse_args()
    photos = random.Random(0).sample(sorted((args.data/'images').glob('*.jpg')), args.photos)
    truth = [o.stem.rsplit('_', 1)[0] for o in photos]
    with tempfile.TemporaryDirectory() as work, sync_playwright() as play:
        work = Path(work)
        large, ort = enlarged(work, photos[:LARGE]), args.ort or package(work)
        sites = {bits: export_web(MODEL, work/f'site{bits}', ort, bits) for bits in (8, 16)}
        bundles = {bits: bundle_of(site, work/f'bundle{bits}') for bits, site in sites.items()}
        browser = play.chromium.launch(executable_path=shutil.which('chromium'), args=['--no-sandbox'])
        with served(sites[8]) as eight, served(sites[16]) as sixteen:
            urls = {8: eight, 16: sixteen}
            turns = [{bits: timed(browser, url, photos, large) for bits, url in urls.items()} for _ in range(ROUNDS)]
            extra = {bits: on_large(browser, url, bundles[bits], large) for bits, url in urls.items()}
        answers, rows = {bits: list(o.predict_batch(photos)) for bits, o in bundles.items()}, []
        for bits, site in sites.items():
            files = [o for o in site.iterdir() if o.name != 'ThirdPartyNotices.txt']
            times = pd.DataFrame([o[bits] for o in turns]).min().to_dict()
            rows.append(dict(
                bits=bits, wire_mb=sum(o.stat().st_size for o in files)/1e6, **times,
                **compared(answers[bits], answers[16], truth), **extra[bits], photos=len(photos),
                ort_web=ORT_VERSION, browser=f'Chromium {browser.version}', **environment()))
    pd.DataFrame(rows).round(4).to_csv(OUT, index=False)
    print(pd.DataFrame(rows).T.to_string())

if __name__ == '__main__': main()
