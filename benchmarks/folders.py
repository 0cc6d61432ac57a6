"""Run petpoo's commands on folders, tables and names as people have them; write results/folders.csv. Exit code 1 if any answer is wrong.

    python benchmarks/folders.py [--only WORDS] [--workers 1]

Each case is made from drawn photos in a temporary folder, with a cache of its own, and a real command runs on it in a process of its own. What came back is held to what it should say.
`verdict` is 'ok', or what was wrong: a traceback, a hang, another exit code, more than one line of error, or a missing word."""
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
def text(name, content): return lambda folder, photos: (folder/name).write_bytes(content if isinstance(content, bytes) else content.encode())

def table(content):
    "A maker of photos a0.jpg to a5.jpg and a CSV beside them."
    return photos_in(*[f'a{i}.jpg' for i in range(6)], more=text('pets.csv', content))

def audit(case, make, **kw): return Case(case, make, ['audit', '{}', '--out', '{}-audit'], **kw)
def audit_csv(case, content, code=1, **kw): return Case(case, table(content), ['audit', '{}/pets.csv', '--out', '{}-audit'], code=code, **kw)

def layouts():
    "Splits and classes, in folders."
    pairs = [('training_set', 'test_set'), ('Train', 'Test'), ('TRAINING', 'TESTING'), ('train_images', 'test_images'), ('train2017', 'test2017'), ('train', 'test1'),
             ('trainset', 'testset'), ('train', 'val_set'), ('train', 'validation-set'), ('train', 'dev'), ('train', 'eval'), ('train', 'holdout'), ('cub_train', 'cub_test')]
    for a, b in pairs: yield audit(f'splits {a}, {b}', photos_in(*splits(a, b)), says=('8 images', 'label: cats', 'dogs'), never=(f'label: {b}',))
    nested = [f'seg_{s}/seg_{s}/{c}/' for s in ('train', 'test') for c in ('cats', 'dogs')]
    yield audit('splits nested, with a folder to predict', photos_in(*nested, 'seg_pred/seg_pred/7.jpg'), says=('8 images', '1 image outside the class folders left out: seg_pred/seg_pred/7.jpg'))
    yield audit('one folder around the splits', photos_in(*['data/' + o for o in splits('train', 'test')]), says=('8 images',))
    yield audit('three folders around the splits', photos_in(*['a/b/c/' + o for o in splits('train', 'test', 'images/')]), says=('8 images',))
    yield audit('splits below the classes', photos_in('cats/train/', 'cats/test/', 'dogs/train/', 'dogs/test/'), says=('8 images', 'cats 50.0%'))
    yield audit('masks beside images', photos_in(*[f'{c}/{k}/' for c in ('cats', 'dogs') for k in ('images', 'masks')]), says=('4 images', '2 folders of masks or annotations'))
    refused = {'train and test without classes': (['train/', 'test/'], 'without a folder for their class'), 'the same, wrapped': (['data/train/', 'data/test/'], 'without a folder for their class'),
        'YOLO': (['train/images/', 'val/images/', 'train/labels/'], 'without a folder for their class'), 'Pascal VOC': (['JPEGImages/', 'SegmentationClass/'], 'does not look like one'),
        'images and labels': (['images/', 'labels/'], 'does not look like one'), 'folds': (['fold_1/', 'fold_2/'], 'do'), 'days': (['2026-01-01/', '2026-01-02/'], 'would become classes'),
        'days with classes below': ([f'2026-01-0{i}/{c}/' for i in (1, 2) for c in ('pug', 'boxer')], 'either of them may be the classes'), 'a split beside classes': (['train/', 'bus/', 'car/'], 'holds train and also'),
        'split and class in one name': (['train_cats/', 'train_dogs/', 'test_cats/'], 'name a split and a class at once'), 'no folders': (['1.jpg', '2.jpg'], 'no folders'),
        'one class': (['pugs/'], 'as its only class'), 'classes one level down': (['PetImages/cats/', 'PetImages/dogs/'], 'if cats, dogs are the classes, give')}
    for name, (files, words) in refused.items(): yield audit(name, photos_in(*files), code=1, says=(words,))

def classes():
    "Classes that nothing teaches, and classes that vanish."
    yield audit('test images of an unknown class', photos_in(*splits('train', 'test'), 'test/unknown/'), says=('2 images of classes without a training image left out: unknown',), never=('unknown 2',))
    yield Case('the same, trained with weights', photos_in(*splits('train', 'test'), 'test/unknown/', n=8), ['train', '--data', '{}', '--balance', 'weights', '--out', '{}-run', *TRAIN], says=('left out: unknown',))
    def bad(folder, photos): [(folder/'rats'/f'{i}.jpg').write_text('no photo') for i in range(3) if (folder/'rats').mkdir(exist_ok=True) is None]
    yield Case('a class whose photos cannot be read', photos_in('cats/', 'dogs/', n=8, more=bad), ['train', '--data', '{}', '--out', '{}-run', *TRAIN], says=('No image can be read of rats',))
    yield Case('the same, one class remains', photos_in('cats/', n=8, more=bad), ['train', '--data', '{}', '--out', '{}-run', *TRAIN], code=1, says=('no image is left of rats',))
    def odd(folder, photos): (folder/'birds').mkdir(); (folder/'fish').mkdir(); (folder/'fish'/'1.psd').touch()
    yield audit('an empty class, one of an unknown format', photos_in('cats/', 'dogs/', more=odd), says=('No image in 2 folders, so no such class: birds, fish',))

def leftovers():
    "What systems leave behind, and what is no file."
    names = ['@eaDir/1.jpg/SYNOPHOTO_THUMB_M.jpg', '#recycle/1.jpg', '.@__thumb/1.jpg', '@Recycle/1.jpg', '__MACOSX/cats/._1.jpg', 'cats/._1.jpg', '$RECYCLE.BIN/1.jpg', 'System Volume Information/1.jpg',
             '.ipynb_checkpoints/1.jpg', 'lost+found/1.jpg', '.git/1.jpg', '.thumbnails/1.jpg', '.picasaoriginals/1.jpg', 'cats/Thumbs.db', 'dogs/.DS_Store', 'dogs/desktop.ini']
    yield audit('what systems leave behind', photos_in('cats/', 'dogs/', *names), says=('4 images', f'{len(names)} hidden or system items skipped', 'cats 50.0%'))
    def special(folder, photos):
        os.mkfifo(folder/'cats'/'a.jpg')
        with socket.socket(socket.AF_UNIX) as s: s.bind(str(folder/'cats'/'b.jpg'))
        (folder/'cats'/'c.jpg').symlink_to('c.jpg'); (folder/'cats'/'d.jpg').symlink_to('gone.jpg'); (folder/'cats'/'up').symlink_to('..'); (folder/'dogs'/'z.jpg').symlink_to('/dev/zero')
    yield audit('pipe, socket, device, circle, dangling link, parent', photos_in('cats/', 'dogs/', more=special), says=('4 images', '5 special files', '1 linked folder not followed: cats/up'))
    def one(folder, photos): os.mkfifo(folder/'pets.csv')
    yield Case('a pipe as a table', photos_in('cats/', more=one), ['audit', '{}/pets.csv', '--out', '{}-audit'], code=1, says=('not an ordinary file',))

def tables():
    "Tables that are not what they seem."
    rows = ''.join(f'a{i}.jpg,{"pug" if i % 2 else "boxer"}\n' for i in range(6))
    yield audit_csv('a table', 'path,label\n' + rows, code=0, says=('6 images',))
    yield audit_csv('with a mark, capitals and an index', '\ufeff,Path,LABEL\n' + ''.join(f'{i},{o}\n' for i, o in enumerate(rows.splitlines())), code=0, says=('6 images',))
    yield audit_csv('splits as spelt', 'path,label,split\n' + ''.join(f'{o},{["Training", "val", "eval"][i % 3]}\n' for i, o in enumerate(rows.splitlines())), code=0, says=('6 images',))
    yield audit_csv('test rows without a label', 'path,label,split\na0.jpg,pug,train\na1.jpg,boxer,train\na2.jpg,,test\n', code=0, says=('1 held-out image without a label left out',))
    for name, content, words in [('one comma too many', 'path,label\na0.jpg,pug\nb, c.jpg,pug\n', 'line 3 has 3 fields'), ('one too few', 'path,label,split\na0.jpg,pug,train\na1.jpg,boxer\n', 'line 3 has 2 fields'),
            ('each row one more', 'path,label\na0.jpg,pug,x\na1.jpg,boxer,y\n', 'line 2 has 3 fields'), ('a quote that does not end', 'path,label\n"a0.jpg,pug\na1.jpg,boxer\n', 'line 2 has a quote'),
            ('a NUL byte', 'path,label\na0.jpg,p\0ug\n', 'line 2 holds a NUL'), ('UTF-16', ('path,label\n' + rows).encode('utf-16'), 'UTF-16'), ('a column twice', 'path,label,Label\na0.jpg,a,b\n', 'label twice'),
            ('semicolons', ('path,label\n' + rows).replace(',', ';'), 'separate the columns with commas'), ('empty', '', 'is empty'), ('header only', 'path,label\n', 'a header and no image'),
            ('a label missing', 'path,label\na0.jpg,pug\na1.jpg,\n', 'line 3'), ('a path twice', 'path,label\na0.jpg,pug\n./a0.jpg,boxer\n', 'more than once'), ('labels in Latin-1', 'path,label\na0.jpg,café\na1.jpg,x\n'.encode('latin-1'), 'line 2'),
            ('a photo', None, 'cannot be read as a CSV')]:
        make = table(content) if content is not None else photos_in('pets.csv')
        yield Case(f'table: {name}', make, ['audit', '{}/pets.csv', '--out', '{}-audit'], code=1, says=(words,))

def names():
    "Names of any kind on terminals of any kind."
    odd = ['猫', "chien d'été", 'two\nlines', BYTES, '\x1b[31mred', '\u202egpj', 'a,b "c"', ' spaces ', '$a^{$']
    files = [f'{c}/{o}.jpg' for c in odd for o in odd]
    for encoding in ('ascii', 'cp1252', 'utf-8'):
        yield audit(f'names, audited on a terminal in {encoding}', photos_in(*files), says=('81 images',), never=('\x1b', '\u202e'), env=dict(PYTHONIOENCODING=encoding))
    yield Case('the table of that audit', lambda folder, photos: photos_in(*files)(folder, photos), ['audit', '{}-before/table.csv', '--out', '{}-audit'], says=('81 images',), env=dict(PYTHONIOENCODING='ascii'))
    yield Case('predict them, LC_ALL=C', photos_in(*files), ['predict', 'TOY', *[f'{{}}/{o}' for o in files[::9]]], env=dict(LC_ALL='C', PYTHONIOENCODING='ascii'))
    yield Case('predict them as JSON', photos_in(*files), ['predict', 'TOY', '--json', *[f'{{}}/{o}' for o in files[::9]]], env=dict(PYTHONIOENCODING='cp1252'))
    yield Case('predict what is not there', photos_in(*files), ['predict', 'TOY', '{}/none\n\x1b猫.jpg'], code=1, says=('does not exist',), never=('\x1b',), env=dict(PYTHONIOENCODING='ascii'))
    yield Case('train on them', photos_in(*[f'{o}/' for o in odd], n=6), ['train', '--data', '{}', '--out', '{}-run', *TRAIN], says=('Written to',), never=('\x1b',), env=dict(PYTHONIOENCODING='ascii'))
    yield Case('~ in --data', photos_in('photos/cats/', 'photos/dogs/'), ['audit', '~/photos', '--out=~/out'], says=('4 images',), env=dict(HOME='{}'))

def speed():
    def many(folder, photos):
        for c in range(100):
            (folder/f'class {c}').mkdir()
            for i in range(1000): (folder/f'class {c}'/f'{i}.jpg').touch()
    code = "import sys, time; from petpoo.data.layouts import read_table; t, p = time.perf_counter(), time.process_time(); n = len(read_table(sys.argv[1])); print(f'{n} images in {time.perf_counter() - t:.2f} s, {time.process_time() - p:.2f} s of a processor')"
    yield Case('read_table on 100,000 empty files', many, ['-c', code, '{}'], says=('100000 images',))

def command(case, folder, toy):
    "The words of the process."
    words = [str(toy) if o == 'TOY' else o.replace('{}', str(folder)) for o in case.words]
    return [sys.executable, *words] if words[0] == '-c' else [sys.executable, '-c', 'import sys; from petpoo.cli import main; sys.exit(main())', *words]

def judge(case, code, out, err):
    if 'Traceback' in out + err: return 'traceback'
    if code != case.code: return f'exit code {code}, not {case.code}'
    if code and err.count('\n') != 1: return f'{err.count(chr(10))} lines of error'
    lacking = [o for o in case.says if o not in out + err] + [f'no {o!r}' for o in case.never if o in out + err]
    return f'lacks {lacking[0]}' if lacking else 'ok'

def run(case, folder, photos, toy):
    case.make(folder, photos)
    env = {**os.environ, **{k: v.replace('{}', str(folder)) for k, v in (case.env or {}).items()}}
    if '{}-before' in ' '.join(case.words): subprocess.run(command(audit('', None), folder, toy)[:-1] + [f'{folder}-before'], env=env, capture_output=True)
    began, terminal = time.perf_counter(), env.get('PYTHONIOENCODING', 'utf-8')
    try: done = subprocess.run(command(case, folder, toy), env=env, capture_output=True, timeout=SECONDS, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired: return dict(code='', said='', verdict='hangs', seconds=SECONDS)
    out, err = done.stdout.decode(terminal, 'replace'), done.stderr.decode(terminal, 'replace')
    said = (err or next((o for o in out.splitlines() if any(w in o for w in case.says)), out)).strip().split('\n')[0]
    return dict(code=done.returncode, said=shown(said.replace(str(folder), 'HERE')), verdict=judge(case, done.returncode, out, err), seconds=round(time.perf_counter() - began, 2))

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', default='', help='only cases whose name holds this')
    parser.add_argument('--workers', type=int, default=1, help='commands at a time; with more than one the seconds say little')
    args = parser.parse_args()
    cases = [o for kind in (layouts, classes, leftovers, tables, names, speed) for o in kind() if args.only in o.name]
    with tempfile.TemporaryDirectory() as tmp:
        tmp = Path(tmp).resolve()
        os.environ['PETPOO_CACHE'] = str(tmp/'cache')
        draw_pets(tmp/'drawn', n=120, size=64, seed=13)
        toy_bundle(tmp/'toy')
        photos = sorted((tmp/'drawn'/'images').glob('*.jpg'))
        def one(i, case):
            folder = tmp/f'case {i}'
            folder.mkdir()
            words = ' '.join(case.words[:1] if case.words[0] == '-c' else shown(' '.join(case.words)).split(' ')[:8])
            row = dict(case=case.name, command=words.replace('{}', 'HERE'), **run(case, folder, photos, tmp/'toy'))
            print(*row.values(), sep=' | ', flush=True)
            return row
        with ThreadPoolExecutor(args.workers) as pool: rows = list(pool.map(one, range(len(cases)), cases))
    if not args.only:
        with atomic_path(OUT) as p: pd.DataFrame(rows).assign(**environment()).to_csv(p, index=False)
    wrong = [o for o in rows if o['verdict'] != 'ok']
    print(f'{len(rows)} cases, {len(wrong)} wrong')
    return int(bool(wrong))

if __name__ == '__main__': sys.exit(main())
