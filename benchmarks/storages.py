"""Use petpoo on servers of this machine that speak as S3, Google's and Azure's storage do:

    python benchmarks/storages.py [s3] [gs] [az] [--azurite node_modules/.bin/azurite-blob] [--objects 1100]

needs petpoo[scale,parquet,hub] and, for s3, moto[server]; for gs, gcsfs and gcp-storage-emulator; for az, adlfs and the
npm package azurite. It starts the servers itself, on 127.0.0.1. They hold small pictures that it draws, the packaged
classifier and what petpoo writes. No check measures a network or a provider's own limits, and Google's emulator lists
all objects on one page. Appends to results/storages.csv: the seconds of each check, or why it failed."""
import argparse, base64, contextlib, io, os, subprocess, tarfile, tempfile, threading, time, zipfile
from http.server import HTTPServer
from importlib.metadata import version
from pathlib import Path
from unittest.mock import patch
import numpy as np, pandas as pd, pyarrow.dataset as ds
from PIL import Image
from petpoo.core import PetpooError, environment, start_python
from petpoo.scale.parts import error_kind
from petpoo.storage import filesystem, names_in, open_anywhere, read_bytes, remove, stream_files, write_whole
from scale import append_row

RESULTS = Path(__file__).parent.parent/'results'/'storages.csv'
COLUMNS = ['storage', 'what', 'value', 'unit', 'note', 'versions', 'processor', 'cores']
PACKAGES = dict(s3=('s3fs', 'moto'), gs=('gcsfs', 'gcp-storage-emulator'), az=('adlfs', 'azure-storage-blob'))

def note(storage, what, value, unit, text=''):
    "Print a figure, and append it to the results."
    versions = '; '.join(f'{o} {version(o)}' for o in ('fsspec', *PACKAGES[storage]))
    facts = environment(())
    row = [storage, what, f'{value:.3g}', unit, text, versions, facts['processor'], facts['cores']]
    print(*row[:5], flush=True)
    append_row(RESULTS, COLUMNS, row)

@contextlib.contextmanager
def s3(args, here):
    from petpoo.sample.bucket import s3_for_tests
    with s3_for_tests() as bucket: yield bucket

@contextlib.contextmanager
def gs(args, here):
    from gcp_storage_emulator.server import create_server
    settings = dict(FSSPEC_GS_TOKEN='anon', GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT='false') # which needs gRPC
    with patch.object(HTTPServer, 'request_queue_size', 256): # it answers one request after the other
        with create_server('127.0.0.1', 0, True, 'photos') as server:
            host, port = server._api._httpd.server_address
            with patch.dict(os.environ, settings, STORAGE_EMULATOR_HOST=f'http://{host}:{port}'): yield 'gs://photos'

@contextlib.contextmanager
def az(args, here, port=10_000):
    key = base64.b64encode(os.urandom(64)).decode() # of an account that lives as long as the server
    words = [args.azurite, '--blobHost', '127.0.0.1', '--blobPort', str(port), '--location', str(here/'azurite')]
    server = subprocess.Popen([*words, '--skipApiVersionCheck', '--disableTelemetry', '--silent'], stdout=-1,
                              env=os.environ | dict(AZURITE_ACCOUNTS=f'petpoo:{key}'))
    while b'listens' not in server.stdout.readline(): pass
    threading.Thread(target=server.stdout.read, daemon=True).start()
    settings = (f'DefaultEndpointsProtocol=http;AccountName=petpoo;AccountKey={key};'
                f'BlobEndpoint=http://127.0.0.1:{port}/petpoo;')
    try:
        with patch.dict(os.environ, AZURE_STORAGE_CONNECTION_STRING=settings):
            filesystem('az://photos')[0].mkdir('photos')
            yield 'az://photos'
    finally:
        server.terminate()
        server.wait()

def petpoo(*words):
    "Run a command; what it prints. Raises `PetpooError` with the last line of its errors."
    code = 'from petpoo.cli import main; sys.exit(main(sys.argv[1:]))'
    child = start_python(code, *map(str, words), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, errors = child.communicate()
    if child.returncode: raise PetpooError(errors.decode().strip())
    return out.decode()

def equal(found, wanted):
    if found != wanted: raise AssertionError(f'found {str(found)[:200]}, not {str(wanted)[:200]}')

def refused(f, words):
    "Does a call end with one line that has these words?"
    try: f()
    except PetpooError as e:
        if words not in str(e) or '\n' in str(e): raise AssertionError(f'said {str(e)[-300:]}, not {words}') from e
    else: raise AssertionError(f'did not say {words}')

class Pets:
    "Twelve pictures in two folders, here and in a bucket, and the answers to those here."
    def __init__(self, here):
        rng = np.random.default_rng(0)
        self.here, self.names = here, [f'{c}/{i} ä.jpg' for c in ('cats', 'dogs') for i in range(6)]
        for name in self.names:
            (file := here/'pets'/name).parent.mkdir(parents=True, exist_ok=True)
            blocks = Image.fromarray(rng.integers(0, 256, (6, 6, 3), dtype=np.uint8))
            blocks.resize((320, 320), Image.Resampling.BICUBIC).save(file)
        petpoo('score', 'packaged', here/'pets', '--out', here/'scores', '--workers', 1)
        self.answers = self.read(here/'scores')

    def read(self, out, member=False):
        "The answers in an output: the end of a path -> the label."
        with tempfile.TemporaryDirectory() as tmp:
            for o in stream_files(str(out)):
                if o.endswith('.parquet'): (Path(tmp)/o.rpartition('/')[2]).write_bytes(read_bytes(o))
            rows = ds.dataset(tmp).to_table().to_pandas()
        if bad := [*filter(None, rows.error)]: raise AssertionError(bad[0])
        return {'/'.join(o.partition('::')[0].split('/')[-2:]): label for o, label in zip(rows.path, rows.label)}

    def score(self, photos, out, bundle='packaged'):
        "Score photos, and compare the answers with those of the pictures here."
        told = petpoo('score', bundle, photos, '--out', out, '--workers', 1)
        equal(self.read(out), self.answers)
        return told

    def archive(self, kind):
        "The bytes of an archive of the pictures."
        data = io.BytesIO()
        if kind == 'zip':
            with zipfile.ZipFile(data, 'w') as z:
                for o in self.names: z.write(self.here/'pets'/o, o)
        else:
            with tarfile.open(fileobj=data, mode='w') as tar:
                for o in self.names: tar.add(self.here/'pets'/o, o)
        return data.getvalue()

def files(pets, bucket):
    "write, read, replace, list, remove"
    for name in ('a.txt', 'ä #%+? .txt', 'b/c'):
        address = f'{bucket}/files/{name}'
        for data in (b'', b'old', bytes(3 << 20)):
            write_whole(address, data)
            equal(read_bytes(address), data)
        with open_anywhere(address) as f: equal((f.seek(1 << 20), len(f.read(9))), (1 << 20, 9))
    equal(names_in(f'{bucket}/files'), ['a.txt', 'b', 'ä #%+? .txt'])
    for o in list(stream_files(f'{bucket}/files')) + [f'{bucket}/files/a.txt']: remove(o)
    equal((names_in(f'{bucket}/files'), list(stream_files(f'{bucket}/files'))), ([], []))

def changes(pets, bucket):
    "see what another process writes and removes after a listing"
    fs, there = filesystem(bucket)
    other = type(fs)(**fs.storage_options, skip_instance_cache=True)
    write_whole(f'{bucket}/changes/a', b'old')
    equal(names_in(f'{bucket}/changes'), ['a'])
    other.pipe({f'{there}/changes/{o}': b'longer' for o in 'ab'})
    equal([read_bytes(f'{bucket}/changes/{o}') for o in 'ab'], [b'longer']*2)
    equal(names_in(f'{bucket}/changes'), ['a', 'b'])
    other.rm_file(f'{there}/changes/a')
    refused(lambda: read_bytes(f'{bucket}/changes/a'), 'does not exist')

def messages(pets, bucket):
    "say in one line what is missing or is a folder"
    for o in ('nothing.jpg', 'nothing.csv', 'nothing.zip', 'nothing/a'):
        refused(lambda: petpoo('predict', f'{bucket}/{o}'), f'{bucket}/{o}')
        refused(lambda: petpoo('score', 'packaged', f'{bucket}/{o}', '--out', pets.here/'none'), f'{bucket}/{o}')
    refused(lambda: petpoo('score', f'{bucket}/nothing', pets.here, '--out', pets.here/'none'), 'does not exist')
    refused(lambda: petpoo('predict', pets.here/'pets', '--out', f'{bucket}-nowhere/a.csv'), f'{bucket}-nowhere')
    refused(lambda: read_bytes(f'{bucket}/pets'), 'is a folder')

def folder(pets, bucket):
    "a folder of photos: list_images, from_folder, predict --out"
    from petpoo.data.factories import ImageTable
    from petpoo.data.files import list_images
    equal(sorted(o for o, _, _ in list_images(f'{bucket}/pets').paths()), [f'{bucket}/pets/{o}' for o in pets.names])
    table = ImageTable.from_folder(f'{bucket}/pets', valid_pct=.5, seed=0)
    equal(sorted(table.label.value_counts().items()), [('cats', 6), ('dogs', 6)])
    petpoo('predict', f'{bucket}/pets', '--out', f'{bucket}/answers/a.csv')
    equal(names_in(f'{bucket}/answers'), ['a.csv'])
    equal(len(pd.read_csv(io.BytesIO(read_bytes(f'{bucket}/answers/a.csv')))), 12)

def score_folder(pets, bucket):
    "score a folder, output at an address; again; and after one part was lost"
    pets.score(f'{bucket}/pets', out := f'{bucket}/scores')
    equal('_manifest.json' in (names := names_in(out)), True)
    pets.score(f'{bucket}/pets', out)
    remove(f'{out}/{next(o for o in names if o.endswith(".parquet"))}')
    pets.score(f'{bucket}/pets', out)
    equal(names_in(out), names)

def tables(pets, bucket):
    "tables of paths, as CSV and as Parquet, of which one photo is named from the table"
    table = pd.DataFrame(dict(path=['pets/' + pets.names[0], *(f'{bucket}/pets/{o}' for o in pets.names[1:])],
                              label=[o[:4] for o in pets.names]))
    table.to_parquet(data := io.BytesIO())
    for kind, content in dict(csv=table.to_csv(index=False).encode(), parquet=data.getvalue()).items():
        write_whole(f'{bucket}/table.{kind}', content)
        pets.score(f'{bucket}/table.{kind}', f'{bucket}/scores of {kind}')
    petpoo('predict', f'{bucket}/table.csv')

def bad_rows(pets, bucket):
    "score a table of photos that are missing, empty, a folder or in no archive"
    write_whole(f'{bucket}/bad/empty.jpg', b'')
    paths = [f'{bucket}/{o}' for o in ('bad/none.jpg', 'bad/empty.jpg', 'bad')] + [f'tar://a.jpg::{bucket}/none.tar']
    write_whole(f'{bucket}/bad.csv', '\n'.join(['path', *paths]).encode())
    try: petpoo('score', 'packaged', f'{bucket}/bad.csv', '--out', f'{bucket}/bad scores', '--workers', 1)
    except PetpooError: pass # no photo could be answered
    out, = (o for o in stream_files(f'{bucket}/bad scores') if o.endswith('.parquet'))
    rows = pd.read_parquet(io.BytesIO(read_bytes(out))).to_dict('records')
    equal([error_kind(o) for o in rows], ['does not exist', 'is empty', 'does not exist', 'does not exist'])

def archives(pets, bucket):
    "a zip and a tar: predict, score, and a table of their photos"
    for kind in ('zip', 'tar'):
        write_whole(f'{bucket}/pets.{kind}', pets.archive(kind))
        pets.score(f'{bucket}/pets.{kind}', f'{bucket}/scores of {kind}')
        equal(len(petpoo('predict', '--csv', f'{bucket}/pets.{kind}').splitlines()), 13)
    rows = [f'tar://{o}::{bucket}/pets.tar' for o in pets.names]
    write_whole(f'{bucket}/members.csv', '\n'.join(['path', *rows]).encode())
    pets.score(f'{bucket}/members.csv', f'{bucket}/scores of members')

def shards(pets, bucket):
    "a folder of WebDataset shards"
    for i in range(2): write_whole(f'{bucket}/shards/{i}.tar', pets.archive('tar'))
    pets.score(f'{bucket}/shards', f'{bucket}/scores of shards')

def parquet(pets, bucket):
    "a Parquet file with photos in it"
    photos = [(pets.here/'pets'/o).read_bytes() for o in pets.names]
    pd.DataFrame(dict(image=photos)).to_parquet(data := io.BytesIO())
    write_whole(f'{bucket}/pets.parquet', data.getvalue())
    petpoo('score', 'packaged', f'{bucket}/pets.parquet', '--out', f'{bucket}/scores of photos', '--workers', 1)
    equal(sorted(pets.read(f'{bucket}/scores of photos').values()), sorted(pets.answers.values()))

def train(pets, bucket):
    "train on a folder, features from processes"
    words = '--data', f'{bucket}/pets', '--arch', 'tf_efficientnet_lite0', '--engine', 'local'
    petpoo('train', *words, '--out', pets.here/'run')
    equal(len(pd.read_csv(pets.here/'run'/'predictions.csv')), 12)

def bundle(pets, bucket):
    "export --to, load_classifier, score with a bundle at an address"
    from petpoo.learner import load_classifier
    petpoo('export', 'packaged', '--to', f'{bucket}/bundle')
    equal(len(load_classifier(f'{bucket}/bundle').classes), 37)
    refused(lambda: petpoo('export', 'packaged', '--to', f'{bucket}/bundle'), 'holds a bundle')
    pets.score(f'{bucket}/pets', f'{bucket}/scores of bundle', f'{bucket}/bundle')

def audit(pets, bucket):
    "audit a folder, report at an address"
    petpoo('audit', f'{bucket}/pets', '--out', f'{bucket}/audit')
    equal({'report.html', 'issues.csv', 'cleaning.csv'} - {*names_in(f'{bucket}/audit')}, set())
    refused(lambda: petpoo('audit', f'{bucket}/pets', '--out', f'{bucket}/audit'), 'holds files')

CHECKS = [files, changes, folder, messages, score_folder, tables, bad_rows, archives, shards, parquet, train, bundle, audit]

def check(storage, f, pets, bucket):
    "Run a check, and write down its seconds or its failure."
    began = time.perf_counter()
    try: f(pets, bucket)
    except Exception as e: note(storage, f.__doc__, 0, 'failed', f'{type(e).__name__}: {e}'.replace('\n', ' ')[:400])
    else: note(storage, f.__doc__, time.perf_counter() - began, 'seconds')

def listing(storage, bucket, n):
    "Seconds to the first path of many objects in fifty folders, and to all."
    fs, there = filesystem(bucket)
    fs.pipe({f'{there}/many/{i % 50:02}/{i:06}.jpg': b'' for i in range(n)}, batch_size=8)
    began, found = time.perf_counter(), stream_files(f'{bucket}/many')
    next(found)
    note(storage, f'first path of {n:,} objects', time.perf_counter() - began, 'seconds')
    equal(1 + sum(1 for _ in found), n)
    note(storage, f'all paths of {n:,} objects', time.perf_counter() - began, 'seconds')

STORAGES = dict(s3=s3, gs=gs, az=az)

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('storages', nargs='*', default=[*STORAGES], help='s3, gs, az; default: all')
    add('--azurite', default='azurite-blob')
    add('--objects', type=int, default=1100, help='to list; 0: none')
    add('--checks', nargs='+', default=[o.__name__ for o in CHECKS], help='names of functions (default: all)')
    args = parser.parse_args()
    for storage in args.storages:
        with tempfile.TemporaryDirectory() as tmp, patch.dict(os.environ, PETPOO_CACHE=f'{tmp}/cache'):
            pets = Pets(Path(tmp))
            with STORAGES[storage](args, Path(tmp)) as bucket:
                for o in pets.names: write_whole(f'{bucket}/pets/{o}', (pets.here/'pets'/o).read_bytes())
                for f in CHECKS:
                    if f.__name__ in args.checks: check(storage, f, pets, bucket)
                if args.objects: listing(storage, bucket, args.objects)
