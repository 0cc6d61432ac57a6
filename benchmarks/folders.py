"""Run petpoo's commands on folders, tables and names as people have them; write results/folders.csv.

    python benchmarks/folders.py [--only WORDS] [--workers 1]

Each case is made of drawn photos in a temporary folder, with a cache of its own, and a real command runs on it in a
process of its own. Its output is compared with what it should say. `verdict` is 'ok' or what is wrong: a traceback, a
hang, another exit code, more than one line of error, or a missing word. With --only nothing is written. The exit code
is 1 if any answer is wrong."""
import argparse, os, shutil, socket, subprocess, sys, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
import pandas as pd
from petpoo.core import atomic_path, environment
from petpoo.sample.toys import toy_bundle
from petpoo.names import shown
from petpoo.sample.faults import draw_pets

OUT = Path(__file__).parent.parent/'results'/'folders.csv'
SECONDS = 900 # for one command; training takes half a minute on two idle cores
BYTES = os.fsdecode(b'caf\xe9') # a name that is not UTF-8
TRAIN = '--size 32 --arch resnet18 --recipe baseline --epochs 1'.split()

@dataclass
class Case:
    "A command and what it should say."
    name: str
    make: object # function of the case's folder and the drawn photos
    words: list # of the command; {} is the case's folder
    code: int = 0
    says: tuple = () # what the output or the error must hold
    never: tuple = () # what it must not hold
    env: dict = None

def put(folder, photos, *names, n=1):
    "Copy drawn photos to these places; a name that ends in / gets `n` photos."
    for k, o in enumerate(names):
        targets = [f'{o}{i}.jpg' for i in range(n)] if o.endswith('/') else [o]
        for i, target in enumerate(targets):
            (folder/target).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(photos[(7*k + i) % len(photos)], folder/target)

def photos_in(*names, n=2, more=None):
    "A maker of such a folder."
    def make(folder, photos):
        put(folder, photos, *names, n=n)
        if more: more(folder, photos)
    return make

def splits(a, b, inner=''): return [f'{s}/{inner}{c}/' for s in (a, b) for c in ('cats', 'dogs')]

def text(name, content):
    "A maker of one file."
    data = content if isinstance(content, bytes) else content.encode()
    return lambda folder, photos: (folder/name).write_bytes(data)

def table(content):
    "A maker of photos a0.jpg to a5.jpg and a CSV beside them."
    return photos_in(*[f'a{i}.jpg' for i in range(6)], more=text('pets.csv', content))

AUDIT = ['audit', '{}', '--out', '{}-audit']
AUDIT_CSV = ['audit', '{}/pets.csv', '--out', '{}-audit']
TRAIN_IT = ['train', '--data', '{}', '--out', '{}-run', *TRAIN]

def audit(case, make, **kw): return Case(case, make, AUDIT, **kw)
def refuse(case, files, words): return audit(case, photos_in(*files), code=1, says=(words,))
def audit_csv(case, content, **kw): return Case(case, table(content), AUDIT_CSV, **kw)

SPLITS = [
    ('training_set', 'test_set'), ('Train', 'Test'), ('TRAINING', 'TESTING'), ('train_images', 'test_images'),
    ('train2017', 'test2017'), ('train', 'test1'), ('trainset', 'testset'), ('train', 'val_set'),
    ('train', 'validation-set'), ('train', 'dev'), ('train', 'eval'), ('train', 'holdout'), ('cub_train', 'cub_test')]
NO_CLASSES = 'without a folder for their class'
REFUSED = { # name -> files, words of the error
    'train and test without classes': (['train/', 'test/'], NO_CLASSES),
    'the same, wrapped': (['data/train/', 'data/test/'], NO_CLASSES),
    'YOLO': (['train/images/', 'val/images/', 'train/labels/'], NO_CLASSES),
    'Pascal VOC': (['JPEGImages/', 'SegmentationClass/'], 'does not look like one'),
    'images and labels': (['images/', 'labels/'], 'does not look like one'),
    'folds': (['fold_1/', 'fold_2/'], 'do'),
    'days': (['2026-01-01/', '2026-01-02/'], 'would become classes'),
    'days with classes below': (
        [f'2026-01-0{i}/{c}/' for i in (1, 2) for c in ('pug', 'boxer')], 'either of them may be the classes'),
    'a split beside classes': (['train/', 'bus/', 'car/'], 'holds train and also'),
    'split and class in one name': (['train_cats/', 'train_dogs/', 'test_cats/'], 'name a split and a class at once'),
    'no folders': (['1.jpg', '2.jpg'], 'no folders'),
    'one class': (['pugs/'], 'as its only class'),
    'classes one level down': (['PetImages/cats/', 'PetImages/dogs/'], 'if cats, dogs are the classes, give')}

def layouts():
    "Splits and classes, in folders."
    for a, b in SPLITS:
        says, never = ('8 images', 'label: cats', 'dogs'), (f'label: {b}',)
        yield audit(f'splits {a}, {b}', photos_in(*splits(a, b)), says=says, never=never)
    nested = [f'seg_{s}/seg_{s}/{c}/' for s in ('train', 'test') for c in ('cats', 'dogs')]
    yield audit(
        'splits nested, with a folder to predict', photos_in(*nested, 'seg_pred/seg_pred/7.jpg'),
        says=('8 images', '1 image outside the class folders left out: seg_pred/seg_pred/7.jpg'))
    wrapped = ['data/' + o for o in splits('train', 'test')]
    yield audit('one folder around the splits', photos_in(*wrapped), says=('8 images',))
    wrapped = ['a/b/c/' + o for o in splits('train', 'test', 'images/')]
    yield audit('three folders around the splits', photos_in(*wrapped), says=('8 images',))
    below = 'cats/train/', 'cats/test/', 'dogs/train/', 'dogs/test/'
    yield audit('splits below the classes', photos_in(*below), says=('8 images', 'cats 50.0%'))
    masks = [f'{c}/{k}/' for c in ('cats', 'dogs') for k in ('images', 'masks')]
    yield audit('masks beside images', photos_in(*masks), says=('4 images', '2 folders of masks or annotations'))
    for name, (files, words) in REFUSED.items(): yield refuse(name, files, words)

def unreadable_rats(folder, photos):
    (folder/'rats').mkdir(exist_ok=True)
    for i in range(3): (folder/'rats'/f'{i}.jpg').write_text('no photo')

def birds_and_fish(folder, photos):
    for o in ('birds', 'fish'): (folder/o).mkdir()
    (folder/'fish'/'1.psd').touch()

def classes():
    "Classes without training images, and classes whose images cannot be used."
    unknown = [*splits('train', 'test'), 'test/unknown/']
    yield audit(
        'test images of an unknown class', photos_in(*unknown), never=('unknown 2',),
        says=('2 images of classes without a training image left out: unknown',))
    weighted = ['train', '--data', '{}', '--balance', 'weights', '--out', '{}-run', *TRAIN]
    yield Case('the same, trained with weights', photos_in(*unknown, n=8), weighted, says=('left out: unknown',))
    yield Case(
        'a class whose photos cannot be read', photos_in('cats/', 'dogs/', n=8, more=unreadable_rats), TRAIN_IT,
        says=('No image can be read of rats',))
    yield Case(
        'the same, one class remains', photos_in('cats/', n=8, more=unreadable_rats), TRAIN_IT, code=1,
        says=('no image is left of rats',))
    yield audit(
        'an empty class, one of an unknown format', photos_in('cats/', 'dogs/', more=birds_and_fish),
        says=('No image in 2 folders, so no such class: birds, fish',))

LEFTOVERS = [
    '@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg', '#recycle/1.jpg', '.@__thumb/1.jpg', '@Recycle/1.jpg',
    '__MACOSX/cats/._1.jpg', 'cats/._1.jpg', '$RECYCLE.BIN/1.jpg', 'System Volume Information/1.jpg',
    '.ipynb_checkpoints/1.jpg', 'lost+found/1.jpg', '.git/1.jpg', '.thumbnails/1.jpg', '.picasaoriginals/1.jpg',
    'cats/Thumbs.db', 'dogs/.DS_Store', 'dogs/desktop.ini']

def special_files(folder, photos):
    os.mkfifo(folder/'cats'/'a.jpg')
    with socket.socket(socket.AF_UNIX) as s: s.bind(str(folder/'cats'/'b.jpg'))
    (folder/'cats'/'c.jpg').symlink_to('c.jpg')
    (folder/'cats'/'d.jpg').symlink_to('gone.jpg')
    (folder/'cats'/'up').symlink_to('..')
    (folder/'dogs'/'z.jpg').symlink_to('/dev/zero')

def pipe_as_table(folder, photos): os.mkfifo(folder/'pets.csv')

def leftovers():
    "What systems leave behind, and what is no file."
    skipped = f'{len(LEFTOVERS)} hidden or system items skipped'
    yield audit(
        'what systems leave behind', photos_in('cats/', 'dogs/', *LEFTOVERS), says=('4 images', skipped, 'cats 50.0%'))
    yield audit(
        'pipe, socket, device, circle, dangling link, parent', photos_in('cats/', 'dogs/', more=special_files),
        says=('4 images', '5 special files', '1 linked folder not followed: cats/up'))
    yield Case(
        'a pipe as a table', photos_in('cats/', more=pipe_as_table), AUDIT_CSV, code=1, says=('not an ordinary file',))

ROWS = [f'a{i}.jpg,{"pug" if i % 2 else "boxer"}' for i in range(6)]
TABLE = '\n'.join(['path,label', *ROWS, ''])
FAULTY = { # name -> content, words of the error
    'one comma too many': ('path,label\na0.jpg,pug\nb, c.jpg,pug\n', 'line 3 has 3 fields'),
    'one too few': ('path,label,split\na0.jpg,pug,train\na1.jpg,boxer\n', 'line 3 has 2 fields'),
    'each row one more': ('path,label\na0.jpg,pug,x\na1.jpg,boxer,y\n', 'line 2 has 3 fields'),
    'a quote that does not end': ('path,label\n"a0.jpg,pug\na1.jpg,boxer\n', 'line 2 has a quote'),
    'a NUL byte': ('path,label\na0.jpg,p\0ug\n', 'line 2 holds a NUL'),
    'UTF-16': (TABLE.encode('utf-16'), 'UTF-16'),
    'a column twice': ('path,label,Label\na0.jpg,a,b\n', 'label twice'),
    'semicolons': (TABLE.replace(',', ';'), 'separate the columns with commas'),
    'empty': ('', 'is empty'),
    'header only': ('path,label\n', 'a header and no image'),
    'a label missing': ('path,label\na0.jpg,pug\na1.jpg,\n', 'line 3'),
    'a path twice': ('path,label\na0.jpg,pug\n./a0.jpg,boxer\n', 'more than once'),
    'labels in Latin-1': ('path,label\na0.jpg,café\na1.jpg,x\n'.encode('latin-1'), 'line 2')}

def tables():
    "Tables as people write them."
    numbered = [f'{i},{o}' for i, o in enumerate(ROWS)]
    in_splits = [f'{o},{["Training", "val", "eval"][i % 3]}' for i, o in enumerate(ROWS)]
    yield audit_csv('a table', TABLE, says=('6 images',))
    yield audit_csv(
        'with a mark, capitals and an index', '\n'.join(['\ufeff,Path,LABEL', *numbered, '']), says=('6 images',))
    yield audit_csv('splits as spelt', '\n'.join(['path,label,split', *in_splits, '']), says=('6 images',))
    yield audit_csv(
        'test rows without a label', 'path,label,split\na0.jpg,pug,train\na1.jpg,boxer,train\na2.jpg,,test\n',
        says=('1 held-out image without a label left out',))
    for name, (content, words) in FAULTY.items(): yield audit_csv(f'table: {name}', content, code=1, says=(words,))
    yield Case('table: a photo', photos_in('pets.csv'), AUDIT_CSV, code=1, says=('cannot be read as a CSV',))

ODD_NAMES = [
    '猫', "chien d'été", 'two\nlines', BYTES, '\x1b[31mred', '\u202egpj', 'a,b "c"', ' spaces ', '$a^{$']

def names():
    "Names of any kind on terminals of any kind."
    files = [f'{c}/{o}.jpg' for c in ODD_NAMES for o in ODD_NAMES]
    some, make = [f'{{}}/{o}' for o in files[::9]], photos_in(*files)
    def terminal(encoding): return dict(PYTHONIOENCODING=encoding)
    for o in ('ascii', 'cp1252', 'utf-8'):
        name, never = f'names, audited on a terminal in {o}', ('\x1b', '\u202e')
        yield audit(name, make, says=('81 images',), never=never, env=terminal(o))
    again = ['audit', '{}-before/table.csv', '--out', '{}-audit']
    yield Case('the table of that audit', make, again, says=('81 images',), env=terminal('ascii'))
    yield Case('predict them, LC_ALL=C', make, ['predict', 'TOY', *some], env=dict(LC_ALL='C') | terminal('ascii'))
    yield Case('predict them as JSON', make, ['predict', 'TOY', '--json', *some], env=terminal('cp1252'))
    yield Case(
        'predict what is not there', make, ['predict', 'TOY', '{}/none\n\x1b猫.jpg'], code=1,
        says=('does not exist',), never=('\x1b',), env=terminal('ascii'))
    yield Case(
        'train on them', photos_in(*[f'{o}/' for o in ODD_NAMES], n=6), TRAIN_IT, says=('Written to',),
        never=('\x1b',), env=terminal('ascii'))
    yield Case(
        '~ in --data', photos_in('photos/cats/', 'photos/dogs/'), ['audit', '~/photos', '--out=~/out'],
        says=('4 images',), env=dict(HOME='{}'))

def hundred_thousand(folder, photos):
    for c in range(100):
        (folder/f'class {c}').mkdir()
        for i in range(1000): (folder/f'class {c}'/f'{i}.jpg').touch()

READ_TABLE = """
import sys, time
from petpoo.data.layouts import read_table
t, p = time.perf_counter(), time.process_time()
n = len(read_table(sys.argv[1]))
print(f'{n} images in {time.perf_counter() - t:.2f} s, {time.process_time() - p:.2f} s of a processor')"""

def speed():
    "Many files."
    words = ['-c', READ_TABLE, '{}']
    yield Case('read_table on 100,000 empty files', hundred_thousand, words, says=('100000 images',))

MAIN = ['-c', 'import sys; from petpoo.cli import main; sys.exit(main())']

def command(case, folder, toy):
    "The words of the process."
    words = [str(toy) if o == 'TOY' else o.replace('{}', str(folder)) for o in case.words]
    return [sys.executable, *([] if words[0] == '-c' else MAIN), *words]

def judge(case, code, out, err):
    "'ok', or what is wrong."
    if 'Traceback' in out + err: return 'traceback'
    if code != case.code: return f'exit code {code}, not {case.code}'
    if code and err.count('\n') != 1: return f'{err.count(chr(10))} lines of error'
    lacking = [o for o in case.says if o not in out + err] + [f'no {o!r}' for o in case.never if o in out + err]
    return f'lacks {lacking[0]}' if lacking else 'ok'

def first_line(case, out, err):
    "The error, or the line with an expected word, or the first line."
    expected = (o for o in out.splitlines() if any(w in o for w in case.says))
    return (err or next(expected, out)).strip().split('\n')[0]

def audit_before(folder, toy, env):
    "An audit whose table the case reads."
    words = command(audit('', None), folder, toy)[:-1]
    subprocess.run([*words, f'{folder}-before'], env=env, capture_output=True)

def run(case, folder, photos, toy):
    "What a case says and the verdict."
    case.make(folder, photos)
    env = os.environ | {k: v.replace('{}', str(folder)) for k, v in (case.env or {}).items()}
    if '{}-before' in ' '.join(case.words): audit_before(folder, toy, env)
    began, terminal = time.perf_counter(), env.get('PYTHONIOENCODING', 'utf-8')
    words, quiet = command(case, folder, toy), dict(capture_output=True, stdin=subprocess.DEVNULL)
    try: done = subprocess.run(words, env=env, timeout=SECONDS, **quiet)
    except subprocess.TimeoutExpired: return dict(code='', said='', verdict='hangs', seconds=SECONDS)
    out, err = done.stdout.decode(terminal, 'replace'), done.stderr.decode(terminal, 'replace')
    return dict(
        code=done.returncode, said=shown(first_line(case, out, err).replace(str(folder), 'HERE')),
        verdict=judge(case, done.returncode, out, err), seconds=round(time.perf_counter() - began, 2))

def short(case):
    "The command for the table."
    words = case.words[:1] if case.words[0] == '-c' else shown(' '.join(case.words)).split(' ')[:8]
    return ' '.join(words).replace('{}', 'HERE')

def measure(cases, workers):
    "A row for each case."
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp).resolve()
        os.environ['PETPOO_CACHE'] = str(tmp/'cache')
        draw_pets(tmp/'drawn', n=120, size=64, seed=13)
        toy_bundle(tmp/'toy')
        photos = sorted((tmp/'drawn'/'images').glob('*.jpg'))
        def one(i, case):
            folder = tmp/f'case {i}'
            folder.mkdir()
            row = dict(case=case.name, command=short(case), **run(case, folder, photos, tmp/'toy'))
            print(*row.values(), sep=' | ', flush=True)
            return row
        with ThreadPoolExecutor(workers) as pool: return list(pool.map(one, range(len(cases)), cases))

def all_cases(): return [o for kind in (layouts, classes, leftovers, tables, names, speed) for o in kind()]

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--only', default='', help='only cases with this in their name')
    p.add_argument('--workers', type=int, default=1, help='commands at a time; with several the seconds mean little')
    return p.parse_args()

def main():
    args = arguments()
    rows = measure([o for o in all_cases() if args.only in o.name], args.workers)
    if not args.only:
        with atomic_path(OUT) as path: pd.DataFrame(rows).assign(**environment()).to_csv(path, index=False)
    wrong = [o for o in rows if o['verdict'] != 'ok']
    print(f'{len(rows)} cases, {len(wrong)} wrong')
    return int(bool(wrong))

if __name__ == '__main__': sys.exit(main())
