"""Drive the static page in a real browser, and compare it with Python: python .ci/web.py

Screenshots are written into the folder that $SHOTS names, if there is one. Photos are real ones from ../shared/data where there are some, else drawn ones. ONNX Runtime Web comes from $ORT (a package or a folder), else from npm. Needs pip install -e '.[docs]', and Chromium or Google Chrome on the path."""
import contextlib, gzip, os, random, shutil, tempfile, threading, time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
import numpy as np
from PIL import Image, ImageCms, ImageOps
from playwright.sync_api import expect, sync_playwright
from petpoo.classify.animals import predict_each
from petpoo.classify.bundle import read_config
from petpoo.classify.inference import Classifier
from petpoo.classify.web import export_web
from petpoo.learner import MODEL
from petpoo.sample.drawing import draw_pet
from petpoo.sample.toys import open_toy_bundle, toy_bundle

N, PAIRS = 200, 30 # photos, and collages of two
MOST, MOST_PIXELS = 0.01, 2 # difference of a probability, and of a side of a box
LOAD_MB = 15 # that a page loads before it is ready
LIMIT_S = 2 # from the end of loading to the first answer; more where every answer is slow
PHOTOS = Path(os.environ.get('PHOTOS', '../shared/data'))
SHOTS = os.environ.get('SHOTS')
expect.set_options(timeout=120_000) # a busy machine may stand still for a while

def package():
    "ONNX Runtime Web, if it is named in the environment; None: petpoo gets it by npm."
    return os.environ.get('ORT')

class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args): pass

@contextlib.contextmanager
def served(folder):
    server = ThreadingHTTPServer(('127.0.0.1', 0), partial(Quiet, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try: yield f'http://127.0.0.1:{server.server_port}/'
    finally:
        server.shutdown()
        server.server_close()

class Visit:
    "A page that notes every request and every error."
    def __init__(self, browser, url, **options):
        self.requests, self.errors, self.url = [], [], url
        self.context = browser.new_context(**options)
        self.context.on('request', lambda o: self.requests.append(o.url))
        self.page = self.context.new_page()
        self.page.set_default_timeout(120_000)
        self.page.on('console', lambda o: self.errors.append(o.text) if o.type == 'error' else None)
        self.page.on('pageerror', lambda o: self.errors.append(str(o)))
        self.page.add_init_script("""window.answers = new Map()
            document.addEventListener('petpoo', e => window.answers.set(e.detail.file, e.detail))""")
        self.seconds = self.load()

    def load(self):
        began = time.perf_counter()
        self.page.goto(self.url)
        self.page.locator('html[data-ready]').wait_for(state='attached')
        return time.perf_counter() - began

    def ask(self, photo):
        "The answer to a photo, a path, and the seconds it took."
        began = time.perf_counter()
        self.page.evaluate('answers.clear()')
        self.page.locator('#from-files').set_input_files(photo)
        found = self.page.wait_for_function('name => answers.get(name)', arg=Path(photo).name).json_value()
        return found, time.perf_counter() - began

    def close(self):
        outside = [o for o in self.requests if not o.startswith((self.url, 'data:', 'blob:'))]
        assert not outside, f'requests left the origin: {outside}'
        assert not self.errors, f'the console complained: {self.errors}'
        self.context.close()

# ---- Photos

def real_photos():
    found = [*sorted(PHOTOS.glob('oxford-iiit-pet/images/*.jpg')), *sorted(PHOTOS.glob('natural/*/*.jpg')),
             *sorted(PHOTOS.glob('other-source/*/*.jpg')), *sorted(PHOTOS.glob('not-pets/*.jpg'))]
    return random.Random(0).sample(found, N) if len(found) >= N else []

def drawn_photos(folder, n=N):
    breeds, paths = read_config(MODEL)['classes'], []
    for i in range(n):
        paths.append(folder/f'drawn{i}.jpg')
        size = [320, 480, 640][i % 3]
        draw_pet(breeds[i % len(breeds)], seed=i, size=size)[0].save(paths[-1], quality=90)
    return paths

def surest_first(clf, photos):
    "Drawn pets are new to the classifier; where it wavers, a difference of a pixel moves a probability the most."
    return sorted(photos, key=lambda o: -clf.predict(o).confidence)

def side_by_side(photos, path, height=400):
    "A collage of two photos, saved."
    two = [ImageOps.exif_transpose(Image.open(o)).convert('RGB') for o in photos]
    two = [o.resize((round(o.width*height/o.height), height)) for o in two]
    collage = Image.new('RGB', (sum(o.width for o in two), height))
    for image, x in zip(two, (0, two[0].width)): collage.paste(image, (x, 0))
    collage.save(path, quality=92)
    return path

def unusual_photos(folder, photo):
    "One picture in every orientation, format, mode and size."
    im, found = Image.open(photo).convert('RGB').resize((420, 300)), []
    def save(name, im, **options):
        im.save(folder/name, **options)
        found.append(folder/name)
    for turned in range(1, 9):
        exif = Image.Exif()
        exif[0x0112] = turned
        for ending in ('jpg', 'png', 'webp'): save(f'turned{turned}.{ending}', im, exif=exif, quality=95)
        xmp = f'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{turned}"/></x:xmpmeta>'.encode()
        for ending in ('jpg', 'webp'): save(f'xmp{turned}.{ending}', im, xmp=xmp, quality=95)
    alpha = im.copy()
    alpha.putalpha(Image.linear_gradient('L').resize(im.size))
    for ending in ('png', 'webp'): save(f'alpha.{ending}', alpha, quality=95)
    save('palette.png', im.quantize(64))
    save('palette.gif', im.quantize(64))
    save('clear.png', im.quantize(64), transparency=3)
    for ending in ('jpg', 'png'): save(f'gray.{ending}', im.convert('L'))
    save('gray_alpha.png', alpha.convert('LA'))
    save('one_bit.png', im.convert('1'))
    save('deep.png', Image.fromarray(np.asarray(im.convert('L')).astype(np.uint16)*257))
    save('plain.bmp', im)
    save('cmyk.jpg', im.convert('CMYK'), quality=95)
    save('full_colour.jpg', im, quality=95, subsampling=0)
    save('progressive.jpg', im, quality=90, progressive=True)
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile('sRGB')).tobytes()
    save('profile.jpg', im, quality=95, icc_profile=srgb)
    for wide in (900, 1500, 3000, 6000):
        for ending in ('jpg', 'png'): save(f'wide{wide}.{ending}', im.resize((wide, wide*3//4 + 5), Image.Resampling.BICUBIC), quality=90)
    exif = Image.Exif()
    exif[0x0112] = 6
    save('phone.jpg', im.resize((4032, 3024), Image.Resampling.BICUBIC).transpose(Image.Transpose.ROTATE_90), exif=exif, quality=85)
    return found

# ---- Comparison

def bundle_of(site, folder):
    "The bundle that a page holds, for Python."
    folder.mkdir()
    (folder/'model.onnx').write_bytes(gzip.decompress((site/'model.onnx.bin').read_bytes()))
    shutil.copy(site/'config.json', folder)
    return Classifier(folder)

def difference(found, p):
    "The largest difference of a probability."
    pairs = [('probs', p.probs), ('speciesProbs', p.species_probs), ('coatProbs', p.coat_probs), ('jointProbs', p.joint_probs)]
    for key, mine in pairs: assert {o[0] for o in found[key]} == {*mine}, f'{key}: {found[key]} is not {mine}'
    return max(abs(q - mine[name]) for key, mine in pairs for name, q in found[key])

def apart(found, each):
    "Differences of an answer for each animal: of a probability, whether all levels and labels are the same, pixels."
    if len(found) != len(each): return 1., False, float('inf')
    same = all({k: o[k] for k in ('level', 'label', 'species', 'coat')} ==
               dict(level=p.level, label=p.label, species=p.species, coat=p.coat) for o, p in zip(found, each))
    boxes = [np.abs(np.subtract(o.get('box', np.inf), a.box))*([*each.photo.size]*2) for o, a in zip(found, each.animals)]
    return max(map(difference, found, each)), same, float(np.max(boxes, initial=0))

def compare(visit, clf, photos):
    "For each photo: its name, the differences as for `apart`, and seconds."
    rows = []
    pool = ThreadPoolExecutor(1) # Python answers while the browser does
    for photo, each in zip(photos, pool.map(partial(predict_each, clf), photos)):
        found, seconds = visit.ask(photo)
        assert not found['error'], f'{photo}: {found["error"]}'
        rows.append((photo.name, *apart(found['answers'], each), seconds))
        if rows[-1][2]: continue
        said = [(o['level'], o['label']) for o in found['answers']]
        print(f'{photo.name}: {said} in the browser, {[(o.level, o.label, o.reason) for o in each]} in Python')
    return rows

def report(title, rows):
    worst = max(rows, key=lambda o: o[1])
    times = sorted(o[-1] for o in rows)
    print(f'{title}: {sum(o[2] for o in rows)} of {len(rows)} answers are the same, probabilities differ by at most '
          f'{worst[1]:.2g} ({worst[0]}), boxes by {max(o[3] for o in rows):.2g} pixels; {1000*times[len(times)//2]:.0f} ms a photo', flush=True)

def check_equal(browser, url, clf, photos, pairs, unusual):
    visit = Visit(browser, url)
    first, seconds = visit.ask(photos[0])
    print(f'loaded in {visit.seconds:.1f} s, first answer after {seconds:.2f} s')
    rows = compare(visit, clf, photos)
    usual = np.median([o[-1] for o in rows])
    assert seconds < max(LIMIT_S, 3*usual), f'the first answer took {seconds:.1f} s, the others {usual:.1f} s'
    report('photos', rows)
    two = compare(visit, clf, pairs)
    report('collages of two', two)
    for _, most, same, pixels, _ in [*rows, *two]: assert same and most < MOST and pixels < MOST_PIXELS
    odd = compare(visit, clf, unusual)
    for name, most, same, *_ in odd: print(f'  {name:<16} {most:.4f}{"" if same else "  another answer"}')
    report('unusual photos', odd)
    assert all(o[2] and o[1] < MOST for o in odd)
    visit.close()

# ---- The page

def shoot(page, name):
    if not SHOTS: return
    page.wait_for_timeout(200)
    page.screenshot(path=Path(SHOTS)/f'web-{name}.png', full_page=True)

def check_offline(browser, url, photo):
    visit = Visit(browser, url)
    visit.page.evaluate('navigator.serviceWorker.ready')
    visit.page.wait_for_function('() => navigator.serviceWorker.controller')
    online = visit.ask(photo)[0]
    visit.context.set_offline(True)
    visit.load()
    assert visit.ask(photo)[0] == online
    visit.page.goto(f'{url}?from=home')
    visit.page.locator('html[data-ready]').wait_for(state='attached')
    visit.close()
    print('works without a network after the first visit')

def check_private(browser, url, photo):
    "After it has loaded, the page requests nothing."
    visit = Visit(browser, url)
    visit.page.evaluate('navigator.serviceWorker.ready')
    visit.page.wait_for_load_state('networkidle')
    before = len(visit.requests)
    visit.ask(photo)
    visit.page.wait_for_timeout(500)
    assert len(visit.requests) == before, visit.requests[before:]
    refused = visit.page.evaluate("fetch('https://example.org').then(() => false, () => true)")
    assert refused, 'the page may fetch from elsewhere'
    visit.errors = [o for o in visit.errors if 'example.org' not in o]
    visit.close()
    print('no request after loading, and none outside the origin')

def check_keyboard(browser, url, photo):
    "Choose a photo, share it, open the details and remove the card with the keyboard alone; paste and drop another."
    visit = Visit(browser, url)
    page = visit.page
    page.on('filechooser', lambda _: None) # early, or the browser may open the dialog before it hears that it is awaited
    page.evaluate('navigator.serviceWorker.ready') # the detector has come, too
    page.wait_for_timeout(2000) # a key just after loading opens no file dialog
    page.locator('#language').focus()
    page.keyboard.press('Tab')
    with page.expect_file_chooser() as chooser: page.keyboard.press('Enter')
    chooser.value.set_files(photo)
    expect(page.locator('article[aria-busy=false]')).to_have_count(1)
    expect(page.get_by_role('status')).to_contain_text(photo.name)
    page.keyboard.press('Tab')
    with page.expect_download() as download: page.keyboard.press('Enter')
    assert Image.open(download.value.path()).width == 1080 and download.value.suggested_filename.startswith('petpoo ')
    if page.locator('summary').is_visible():
        page.keyboard.press('Tab'); page.keyboard.press('Enter')
        assert page.locator('details').get_attribute('open') is not None
    page.keyboard.press('Tab'); page.keyboard.press('Enter')
    expect(page.locator('article')).to_have_count(0)
    expect(page.get_by_role('button', name='Choose photos')).to_be_focused()
    for kind, key in (('paste', 'clipboardData'), ('drop', 'dataTransfer')):
        page.evaluate("""([kind, key, bytes]) => {
            const data = new DataTransfer()
            data.items.add(new File([new Uint8Array(bytes)], kind + '.jpg', {type: 'image/jpeg'}))
            const made = {paste: ClipboardEvent, drop: DragEvent}[kind]
            dispatchEvent(new made(kind, {[key]: data}))}""", [kind, key, [*photo.read_bytes()]])
        expect(page.get_by_role('status')).to_contain_text(f'{kind}.jpg')
    unnamed = page.evaluate("""[...document.querySelectorAll('button, select, canvas, input:not([hidden]), progress')]
        .filter(o => !(o.textContent.trim() || o.ariaLabel || o.labels?.length)).map(o => o.outerHTML)""")
    assert not [o for o in unnamed if '×' not in o], unnamed
    visit.close()
    print('works with the keyboard, by paste and by drop')

def check_kept(browser, url, photos):
    "The last answers survive a reload of the tab, and nothing else; a button clears them."
    visit = Visit(browser, url)
    page = visit.page
    for photo in photos: visit.ask(photo)
    page.evaluate("""Object.assign(navigator, {canShare: () => true, share: async o => { window.shared = o.files[0] }})""")
    page.locator('article .share').first.click()
    page.wait_for_function("() => window.shared?.type === 'image/jpeg' && shared.size > 10_000") # a bare expression needs `eval`
    expect(page.locator('#earlier')).to_be_hidden() # all of them are on the page
    page.locator('article .remove').first.click()
    expect(page.locator('#earlier li')).to_have_count(1)
    visit.load()
    expect(page.locator('#earlier li')).to_have_count(min(len(photos), 12))
    other = visit.context.new_page()
    other.goto(url)
    other.locator('html[data-ready]').wait_for(state='attached')
    assert other.locator('#earlier').is_hidden()
    other.close()
    page.get_by_role('button', name='Clear earlier answers').focus()
    page.keyboard.press('Enter')
    expect(page.locator('#earlier')).to_be_hidden()
    expect(page.get_by_role('status')).to_contain_text('cleared')
    expect(page.get_by_role('button', name='Choose photos')).to_be_focused()
    assert page.evaluate("sessionStorage.getItem('petpoo answers')") == '[]'
    visit.close()
    print('shares an answer, keeps the last ones in the tab, and clears them')

def check_looks(browser, url, photos, pair):
    "Light and dark, wide and narrow, in three languages, with one animal, two, and several photos; nothing sticks out."
    phone = dict(viewport=dict(width=390, height=844), device_scale_factor=2, has_touch=True, is_mobile=True)
    for name, options in dict(
        light=dict(viewport=dict(width=1200, height=900)), dark=dict(viewport=dict(width=1200, height=900), color_scheme='dark'),
        phone=phone, phone_dark=dict(phone, color_scheme='dark', locale='de-DE'),
        spanish=dict(viewport=dict(width=800, height=900), locale='es-ES')).items():
        visit = Visit(browser, url, **options)
        shoot(visit.page, f'{name}-empty')
        for kind, shown in dict(one=photos[:1], two=[pair], several=photos).items():
            visit.page.evaluate('sessionStorage.clear()')
            visit.load()
            for photo in shown: visit.ask(photo)
            wide, view = visit.page.evaluate('[document.documentElement.scrollWidth, innerWidth]')
            assert wide <= view <= options['viewport']['width'], f'{name}: the page is {wide} pixels wide'
            shoot(visit.page, f'{name}-{kind}')
        visit.load()
        shoot(visit.page, f'{name}-earlier')
        visit.close()

def check_waiting(browser, url, photo):
    "A photo that is chosen while the classifier loads, and a bundle or a detector that cannot be loaded."
    context = browser.new_context(viewport=dict(width=800, height=700))
    page, held = context.new_page(), []
    context.route('**/model.onnx.bin', lambda route: held.append(route))
    page.goto(url)
    page.locator('#from-files').set_input_files(photo)
    expect(page.locator('article[aria-busy=true]')).to_be_visible()
    expect(page.get_by_role('progressbar')).to_be_visible()
    page.wait_for_timeout(1500)
    shoot(page, 'loading')
    held[0].fulfill(status=503, body='')
    expect(page.get_by_role('alert')).to_contain_text('503')
    expect(page.locator('article')).to_contain_text('could not be loaded')
    shoot(page, 'failed')
    context.unroute_all()
    context.route('**/detector.onnx.bin', lambda route: route.fulfill(status=503, body=''))
    page.reload()
    expect(page.get_by_role('alert')).to_contain_text('detector.onnx.bin: 503')
    context.close()

def check_toys(browser, work, ort, photos, large):
    "Bundles of every kind and resize method, with and without species, answer as in Python."
    flowers = ['rose', '1', 'lily_of_the_valley', '__proto__']
    plain = dict(classes=flowers, species=dict.fromkeys(flowers, ''))
    rule = dict(score='brightness', threshold=-0.5, min_confidence=0.6)
    point = dict(positive='cat', threshold=0.2, rule='recall >= 0.99')
    kinds = dict(
        open=partial(open_toy_bundle, resize='crop'), padded=partial(open_toy_bundle, resize='pad'),
        plain=partial(toy_bundle, **plain, resize='pad'), abstains=partial(toy_bundle, **plain, abstention=rule, resize='crop'),
        point=partial(toy_bundle, operating_point=point, temperature=1.7, mean=[0.485, 0.456, 0.406], std=[0.229, 0.224, 0.225]))
    for name, make in kinds.items():
        site = export_web(make(work/'toys'/name), work/'sites'/name, ort)
        with served(site) as url:
            visit = Visit(browser, url)
            rows = compare(visit, Classifier(work/'toys'/name), [*photos, *large])
            text = visit.page.locator('body').inner_text().lower()
            shoot(visit.page, f'toy-{name}')
            visit.close()
        report(name, rows)
        assert all(o[2] and o[1] < 1e-4 for o in rows)
        assert 'shampoo' not in text
        if name in ('plain', 'abstains'): assert 'breed' not in text and 'cat' not in text.split() and 'dog' not in text.split(), text

def main():
    with tempfile.TemporaryDirectory() as work, sync_playwright() as p:
        work = Path(work)
        if SHOTS: Path(SHOTS).mkdir(parents=True, exist_ok=True)
        ort = package()
        site = export_web(MODEL, work/'site', ort)
        sizes = {o.name: o.stat().st_size/1e6 for o in site.iterdir() if o.name != 'ThirdPartyNotices.txt'}
        detector = sizes.pop('detector.onnx.bin')
        print(f'{sum(sizes.values()):.1f} MB until the page is ready, {detector:.1f} MB after that')
        assert sum(sizes.values()) < LOAD_MB
        clf = bundle_of(site, work/'bundle')
        (work/'photos').mkdir()
        photos = real_photos() or surest_first(clf, drawn_photos(work/'photos'))
        unusual = unusual_photos(work/'photos', photos[0])
        pairs = [side_by_side(photos[2*i:2*i + 2], work/'photos'/f'pair{i}.jpg') for i in range(PAIRS)]
        (work/'photos'/'broken.jpg').write_text('no photo')
        browser = p.chromium.launch(executable_path=shutil.which('chromium') or shutil.which('google-chrome'), args=['--no-sandbox'])
        with served(site) as url:
            check_equal(browser, url, clf, photos, pairs, unusual)
            check_offline(browser, url, photos[0])
            check_private(browser, url, photos[0])
            check_keyboard(browser, url, photos[0])
            check_kept(browser, url, photos[:14])
            check_looks(browser, url, [*photos[:3], work/'photos'/'broken.jpg'], pairs[0])
            check_waiting(browser, url, photos[0])
        colours = []
        for name in ('red', 'lime', 'blue', 'black', 'gray', 'white', 'yellow'):
            colours.append(work/'photos'/f'{name}.png')
            im = Image.new('RGB', (150, 90), name)
            im.paste('orange', (0, 0, 31, 47))
            im.save(colours[-1])
        check_toys(browser, work, ort, colours, [o for o in unusual if o.match('wide*.png')])

if __name__ == '__main__': main()
