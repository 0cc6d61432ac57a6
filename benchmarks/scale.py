"""Measure the map over images: python benchmarks/scale.py PART... [--photos FOLDER] [--n 5000]

PART: speed (local, then Ray), together (both at once), memory (of score and audit, 100,000 rows), kills and ray_kills
(of workers and the driver), storage (objects beside shards), archives (bytes that workers fetch of archives), threads
(beside processes), dispatch (parts a second), parts (their times).
Appends to results/scale.csv."""
import argparse, contextlib, csv, os, random, signal, statistics, subprocess, sys, tarfile, tempfile, threading, time
from collections import Counter
from pathlib import Path
import pyarrow.dataset as ds
from petpoo.core import environment, start_python
from petpoo.decode import SUFFIXES
from petpoo.scale.parts import Sizes

RESULTS = Path(__file__).parent.parent/'results'/'scale.csv'
BODY = 'tf_efficientnet_lite2'
COLUMNS = ['part', 'what', 'value', 'unit', 'n', 'note', 'processor', 'cores']

def append_row(file, columns, row):
    "Append a row to a CSV file; a new one gets the names of the columns first."
    new = not file.exists()
    with open(file, 'a', newline='') as f:
        writer = csv.writer(f, lineterminator='\n')
        if new: writer.writerow(columns)
        writer.writerow(row)

def note(part, what, value, unit, n, text=''):
    "Print a figure, and append it to the results."
    facts = environment(())
    row = [part, what, f'{value:.4g}', unit, n, text, facts['processor'], facts['cores']]
    print(*row[:6], flush=True)
    append_row(RESULTS, COLUMNS, row)

def photos_in(folder): return sorted(str(o) for o in Path(folder).rglob('*') if o.suffix.lower() in SUFFIXES)

def write_table(file, paths):
    file.write_text('\n'.join(['path', *paths]) + '\n')
    return str(file)

def rows_of(out): return ds.dataset(str(out)).to_table().to_pandas().sort_values('path', ignore_index=True)

def busy():
    "Seconds that all processors of this machine have worked (Linux); others cannot slow them, as they slow a clock."
    user, nice, system, _, _, irq, softirq, *_ = map(int, Path('/proc/stat').read_text().split()[1:11])
    return (user + nice + system + irq + softirq)/os.sysconf('SC_CLK_TCK')

def steady(args, paths, out, engine, workers):
    "Photos a second between the first part and the last one; seconds until the first and of all; processor seconds."
    from petpoo.scale.mapping import map_images
    from petpoo.scale.score import Scorer
    seen, began, used = [], time.perf_counter(), busy()
    map_images(paths, Scorer(args.bundle), out, engine, workers, size=args.size,
               tell=lambda tally: seen.append((tally.seconds, tally.photos)))
    (first, few), (last, many) = seen[0], seen[-2] # the last call is the summary
    return (many - few)/(last - first), first, time.perf_counter() - began, busy() - used

def more(figures): return 100*(figures['ray']/figures['local'] - 1) # %

def compare_once(args, paths, here, workers):
    "Time of Ray above local in percent: between the first part and the last one, with its start, and of the processors."
    rate, seconds, used = {}, {}, {}
    for engine in ('local', 'ray'):
        rate[engine], start, seconds[engine], used[engine] = steady(args, paths, here/engine, engine, workers)
        text = (f'first part after {start:.0f} s, all after {seconds[engine]:.0f}; '
                f'{used[engine]:.0f} processor seconds')
        note('speed', f'{engine}, {workers} workers', rate[engine], 'photos a second', args.n, text)
    same = rows_of(here/'local').equals(rows_of(here/'ray'))
    note('speed', 'rows of ray equal to local', same, 'yes or no', args.n)
    return 100*(rate['local']/rate['ray'] - 1), more(seconds), more(used)

def speed(args, here):
    "Local processes and Ray with each number of workers, on the same photos, one after the other, some times."
    paths = photos_in(args.photos)
    paths = [paths[i % len(paths)] for i in range(args.n)]
    names = 'time of ray above local', 'time of ray above local with its start', 'processor time of ray above local'
    for workers in args.workers:
        turns = [compare_once(args, paths, here/f'{workers} {i}', workers) for i in range(args.turns)]
        for name, values in zip(names, zip(*turns)):
            text = f'median of {args.turns}: ' + ', '.join(f'{o:.1f}' for o in values)
            note('speed', f'{name}, {workers} workers', statistics.median(values), '%', args.n, text)

def together(args, here):
    "One local worker and one of Ray at the same time, so that other work on the machine slows both alike."
    from petpoo.scale.mapping import map_images
    from petpoo.scale.score import Scorer
    os.environ['RAY_worker_niceness'] = '0' # not 15, which would leave the processor to the local worker
    paths, seen, at_work = photos_in(args.photos)[:args.n], dict(local=[], ray=[]), threading.Event()
    def run(engine):
        def tell(tally):
            seen[engine].append((time.perf_counter(), tally.photos))
            at_work.set()
        map_images(paths, Scorer(args.bundle), here/engine, engine, 1, size=args.size, tell=tell)
    local = threading.Thread(target=lambda: at_work.wait() and run('local'))
    local.start()
    run('ray') # starts slowly; the other one waits for its first part
    local.join()
    begin, end = max(o[0][0] for o in seen.values()), min(o[-2][0] for o in seen.values())
    rate = {}
    for engine, all_parts in seen.items():
        inside = [o for o in all_parts[:-1] if begin <= o[0] <= end]
        rate[engine] = (inside[-1][1] - inside[0][1])/(inside[-1][0] - inside[0][0])
        note('together', f'{engine}, 1 worker', rate[engine], 'photos a second', inside[-1][1] - inside[0][1])
    note('together', 'time of ray above local', 100*(rate['local']/rate['ray'] - 1), '%', args.n)
    same = rows_of(here/'local').equals(rows_of(here/'ray'))
    note('together', 'rows of ray equal to local', same, 'yes or no', args.n)

def resident(pid):
    "MiB of a process and of its children."
    pages = {}
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try: fields = stat.read_text().rpartition(')')[2].split()
        except OSError: continue
        pages[int(stat.parent.name)] = int(fields[1]), int(fields[21])
    def below(o): return [o, *(p for child, (parent, _) in pages.items() if parent == o for p in below(child))]
    return pages[pid][1]/256, [pages[o][1]/256 for o in below(pid)[1:]]

def many_photos(folder, n):
    "Small photos that all differ, in ten folders."
    import numpy as np
    from PIL import Image
    rng = np.random.default_rng(0)
    for i in range(10): (folder/f'class {i}').mkdir(parents=True)
    for i in range(n):
        blocks = Image.fromarray(rng.integers(0, 256, (5, 5, 3), dtype=np.uint8))
        blocks.resize((40, 40), Image.Resampling.BICUBIC).save(folder/f'class {i % 10}'/f'{i:06}.jpg', quality=80)
    return folder

def anonymous(pid):
    "MiB of a process that no file backs, so that the system cannot write them out without swap."
    lines = Path(f'/proc/{pid}/status').read_text().splitlines()
    return next(int(o.split()[1])/1024 for o in lines if o.startswith('RssAnon'))

def peak_memory(words):
    "Run a command; MiB of its driver, of them anonymous, and of its largest worker at most, and its seconds."
    code, began, most = 'from petpoo.cli import main; sys.exit(main(sys.argv[1:]))', time.perf_counter(), (0, 0, 0)
    child = start_python(code, *map(str, words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    while child.poll() is None:
        with contextlib.suppress(KeyError, OSError, StopIteration): # it has just ended
            own, others = resident(child.pid)
            most = tuple(map(max, most, (own, anonymous(child.pid), max([0, *others]))))
        time.sleep(.1)
    if child.returncode: sys.exit(f'{words[0]} failed: {child.stderr.read().decode()[-3000:]}')
    return *most, time.perf_counter() - began

def memory(args, here):
    "Peak memory of score and audit on a tenth of the rows, and on all of them."
    from petpoo.sample.toys import toy_bundle
    paths, bundle = photos_in(many_photos(here/'photos', args.rows)), toy_bundle(here/'toy')
    random.Random(0).shuffle(paths)
    for n in (args.rows//10, args.rows):
        rows = ['path,label', *(f'{o},{Path(o).parent.name}' for o in paths[:n])]
        (table := here/f'{n}.csv').write_text('\n'.join(rows) + '\n')
        engine = '--engine', args.engine, '--workers', 2
        for words in (('score', bundle, table, '--out', here/f'score {n}', *engine),
                      ('audit', table, '--out', here/f'audit {n}', *engine)):
            driver, own, worker, seconds = peak_memory(words)
            where = f'{args.engine}, 2 workers, {seconds:.0f} s'
            note('memory', f'{words[0]}, driver at most', driver, 'MiB', n, where)
            note('memory', f'{words[0]}, driver at most, anonymous', own, 'MiB', n, where)
            note('memory', f'{words[0]}, largest worker at most', worker, 'MiB', n, where)

SLOW = '''
import sys, time
from petpoo.scale.mapping import map_images
from petpoo.scale.score import Scorer
class SlowScorer(Scorer):
    "Scores a photo in 60 milliseconds at least, so that kills find it at work."
    def open(self):
        score = super().open()
        def work(photos):
            time.sleep(.06*len(photos))
            return score(photos)
        return work

def main(bundle, photos, out, engine): map_images(photos, SlowScorer(bundle), out, engine, workers=2, size=8)
'''
DRIVER = 'sys.path.insert(0, sys.argv.pop(1)); from slow_scorer import main; main(*sys.argv[1:])'

def family(pid):
    "Processes below a process: pid -> command line."
    parents = {}
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try: parents[int(stat.parent.name)] = int(stat.read_text().rpartition(')')[2].split()[1])
        except OSError: continue
    def below(o): return [p for child, parent in parents.items() if parent == o for p in (child, *below(child))]
    return {o: command_of(o) for o in below(pid)}

def command_of(pid):
    try: return Path(f'/proc/{pid}/cmdline').read_text().replace('\0', ' ')
    except OSError: return ''

def workers_of(driver, engine):
    "Processes of the driver that score photos."
    mark = 'ray::MapWorker' if engine == 'ray' else 'serve_parts'
    return [pid for pid, command in family(driver.pid).items() if mark in command]

class Crowd:
    "A driver on small photos, started again after each kill."
    def __init__(self, here, engine):
        from PIL import Image
        from petpoo.sample.toys import open_toy_bundle
        self.here, self.engine, self.out = here, engine, here/'out'
        (here/'slow_scorer.py').write_text(SLOW)
        (here/'photos').mkdir()
        for i in range(400):
            Image.new('RGB', (40, 40), (i % 256, i*7 % 256, i*13 % 256)).save(here/'photos'/f'{i:03}.png')
        self.bundle = open_toy_bundle(here/'toy')

    def start(self, out, engine):
        words = map(str, (self.here, self.bundle, self.here/'photos', out, engine))
        return start_python(DRIVER, *words, stderr=subprocess.PIPE)

    def expected(self):
        "The rows of an undisturbed run on this machine."
        self.finish(self.start(self.here/'undisturbed', 'local'))
        return rows_of(self.here/'undisturbed')

    def finish(self, driver):
        _, errors = driver.communicate()
        if driver.returncode: sys.exit(f'the driver failed: {errors.decode()[-3000:]}')

    def wait_for_work(self, driver):
        "Wait until a worker is there; False if the driver ends before."
        while driver.poll() is None:
            if workers := workers_of(driver, self.engine): return workers
            time.sleep(.1)
        return []

def lost_rows(found, wanted):
    "How many rows are lost, doubled or other than those of an undisturbed run."
    if len(found) == len(wanted) and found.equals(wanted): return 0
    both = found.merge(wanted, on='path', how='outer', indicator=True)
    alone = int((both._merge != 'both').sum())
    same = found.drop_duplicates('path').merge(wanted, on='path')
    wrong = sum((same[f'{o}_x'].map(str) != same[f'{o}_y'].map(str)).any() for o in wanted if o != 'path')
    return alone + int(found.path.duplicated().sum()) + wrong

def kills_of(args, here, engine):
    "Random kills (SIGKILL) of workers and of the driver; nothing may be lost, doubled or different."
    crowd, rng, done, lost, runs = Crowd(here, engine), random.Random(args.seed), Counter(), 0, 0
    wanted, began, driver = crowd.expected(), time.perf_counter(), None
    while done.total() < args.kills:
        driver = driver or crowd.start(crowd.out, engine)
        workers = crowd.wait_for_work(driver)
        time.sleep(rng.uniform(0, 4))
        workers = workers and workers_of(driver, engine)
        if not workers: # it has finished: compare, and begin again with another folder
            crowd.finish(driver)
            lost, runs, driver = lost + lost_rows(rows_of(crowd.out), wanted), runs + 1, None
            subprocess.run(['rm', '-r', str(crowd.out)], check=True)
            continue
        whom = rng.choice(['driver', 'worker', 'worker'])
        os.kill(rng.choice(workers) if whom == 'worker' else driver.pid, signal.SIGKILL)
        done[whom] += 1
        if whom == 'driver':
            driver.wait()
            driver = None
    crowd.finish(driver or crowd.start(crowd.out, engine))
    lost += lost_rows(rows_of(crowd.out), wanted)
    text = (f'{done["worker"]} kills of workers, {done["driver"]} of the driver, {runs + 1} runs of 400 photos, '
            f'{time.perf_counter() - began:.0f} s')
    note('kills', f'{engine}: rows lost, doubled or different', lost, 'rows', 400*(runs + 1), text)

def kills(args, here): kills_of(args, here, 'local')
def ray_kills(args, here): kills_of(args, here, 'ray')

def storage(args, here):
    "Seconds a thousand images as single objects and as tar shards, on an S3 server of this machine."
    from petpoo.sample.bucket import s3_for_tests
    from petpoo.scale.reading import read_photos
    from petpoo.storage import write_whole
    paths = photos_in(args.photos)[:1000]
    with s3_for_tests() as bucket:
        for o in paths: write_whole(f'{bucket}/single/{Path(o).name}', Path(o).read_bytes())
        for i in range(2):
            with tarfile.open(here/'shard.tar', 'w') as tar:
                for o in paths[500*i:500*i+500]: tar.add(o, Path(o).name)
            write_whole(f'{bucket}/shards/{i}.tar', (here/'shard.tar').read_bytes())
        note('storage', 'size of a photo', sum(os.path.getsize(o) for o in paths)/len(paths)/1024, 'KiB', len(paths))
        objects = [f'{bucket}/single/{Path(o).name}' for o in paths]
        shards = [[f'{bucket}/shards/{i}.tar'] for i in range(2)]
        for what, groups in (('single objects', [objects]), ('tar shards', shards), ('local files', [paths])):
            start = time.perf_counter()
            n = sum(len(o.content.read() if hasattr(o.content, 'read') else Path(o.content).read_bytes()) > 0
                    for group in groups for o in read_photos(group))
            note('storage', f'reading {what}', time.perf_counter() - start, 'seconds', n, 'moto in the same process')

@contextlib.contextmanager
def counted_bytes(ending):
    "Count what the S3 server of this process sends of the objects with an ending."
    from unittest.mock import patch
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication
    sent, serve = Counter(), DomainDispatcherApplication.__call__
    def call(self, environ, start_response):
        for block in serve(self, environ, start_response):
            if environ['PATH_INFO'].endswith(ending): sent[environ['PATH_INFO']] += len(block)
            yield block
    with patch.object(DomainDispatcherApplication, '__call__', call): yield sent

def equal_parts(found, size):
    "Parts of `size` photos, whatever holds them."
    from itertools import count, islice
    from petpoo.scale.sources import Part
    found = iter(found)
    parts = iter(lambda: tuple(islice(found, size)), ())
    for i in count():
        yield Part(i, paths := next(parts, ()))
        if not paths: return

class Apart(Sizes):
    "A worker with a cache of its own, as on a machine of its own."
    def settings(self): return dict(worker='Sizes')
    def open(self):
        os.environ['PETPOO_CACHE'] = tempfile.mkdtemp(dir=os.environ['PETPOO_CACHE'])
        return super().open()

def archive_runs(here, what, table, size):
    "Map over photos in archives, with workers that share a cache and with workers that do not, and with both cuts."
    from unittest.mock import patch
    from petpoo.scale.mapping import map_images
    from petpoo.scale.sources import cut
    from scale import Apart # a worker must be in a module
    ways = {'workers of one machine': (Sizes, cut), 'machines with a worker': (Apart, cut),
            'machines with a worker, parts of 256': (Apart, equal_parts)}
    rows = []
    for how, (worker, cutter) in ways.items():
        for n in (2, 4):
            name = f'{what} {how} {n}'
            (cache := here/f'cache {name}').mkdir()
            with (patch('petpoo.scale.parts.cut', cutter), patch.dict(os.environ, PETPOO_CACHE=str(cache)),
                  counted_bytes('.tar') as sent): tally = map_images(table, worker(), here/name, workers=n)
            rows.append(rows_of(here/name))
            text = f'{tally.total} parts, {tally.seconds:.0f} s, moto in the process of the driver'
            fetched = sum(sent.values())/size
            note('archives', f'{what}, {n} {how}: fetched', fetched, 'times all archives', len(table), text)
    note('archives', f'{what}: rows equal', all(o.equals(rows[0]) for o in rows), 'yes or no', len(table))

def archives(args, here):
    "Bytes that are fetched where a table names photos in archives at an address."
    from petpoo.sample.bucket import s3_for_tests
    from petpoo.storage import write_whole
    paths = photos_in(many_photos(here/'photos', 12_000))
    with s3_for_tests() as bucket:
        for n in (12, 1):
            table, size = [], 0
            for i in range(n):
                some, address = paths[i::n], f'{bucket}/{n}/{i:02}.tar'
                with tarfile.open(here/'some.tar', 'w') as tar:
                    for o in some: tar.add(o, Path(o).name)
                write_whole(address, (here/'some.tar').read_bytes())
                table += [f'tar://{Path(o).name}::{address}' for o in some]
                size += (here/'some.tar').stat().st_size
            archive_runs(here, f'tars: {n} of {len(paths)//n:,} photos', table, size)

def threads(args, here):
    "Two sessions of one thread each, in threads of one process and in two processes."
    from concurrent.futures import ThreadPoolExecutor
    from petpoo.scale.parts import Plan
    from petpoo.scale.processes import local_reports
    from petpoo.scale.reading import Photo
    from petpoo.scale.score import Scorer
    paths, worker = photos_in(args.photos)[:800], Scorer(args.bundle)
    halves = [[Photo(o, o) for o in paths[i::2]] for i in range(2)]
    with ThreadPoolExecutor(2) as pool:
        opened = [worker.open() for _ in halves]
        start = time.perf_counter()
        n = sum(map(len, pool.map(lambda work, half: work(half), opened, halves)))
        note('threads', 'two threads of one process', n/(time.perf_counter() - start), 'photos a second', n)
    first = None
    for report in local_reports(Plan(paths, str(here/'out'), 32), worker, 2): # the same photos
        if first is None: first, n = time.perf_counter(), 0 # both processes are at work
        else: n += report.rows
    note('threads', 'two processes', n/(time.perf_counter() - first), 'photos a second', n)

def parts(args, here):
    "Processor seconds of each part of 16 photos, with one thread, for each worker, to results/scale_parts.csv."
    from petpoo.scale.features import BodyWorker
    from petpoo.scale.measuring import Measurer
    from petpoo.scale.parts import Plan, do_part
    from petpoo.scale.score import Scorer
    from petpoo.train.ahead import packaged_input
    from petpoo.train.packaged import packaged_graph
    spec, key = packaged_input(BODY)
    body = BodyWorker(packaged_graph(BODY), key, spec.size, spec.resize, spec.mean, spec.std)
    rows, paths = [], photos_in(args.photos)[:args.n//16*16]
    for name, worker in dict(score=Scorer(args.bundle), measure=Measurer(), features=body).items():
        work, schema, out, seconds = worker.open(), worker.schema(), str(here/name), []
        for part in Plan(paths, out, 16):
            start = time.process_time()
            if do_part(work, schema, part, out).rows: seconds.append(time.process_time() - start)
        written = sum(o.stat().st_size for o in (here/name).glob('part-*'))
        note('parts', f'{name}, output a row', written/len(paths), 'bytes', len(paths))
        note('parts', f'{name}, one thread', len(paths)/sum(seconds), 'photos a processor second', len(paths))
        rows += [f'{name},{o:.4f}' for o in seconds]
    (RESULTS.parent/'scale_parts.csv').write_text('\n'.join(['worker,seconds', *rows]) + '\n')

def dispatch(args, here):
    "Parts a second that an engine hands out, with parts of one tiny photo."
    from PIL import Image
    from petpoo.scale.mapping import map_images
    Image.new('RGB', (8, 8)).save(here/'tiny.png')
    for engine, n in (('ray', 200), ('local', 1000)):
        seen = []
        map_images([str(here/'tiny.png')]*n, Sizes(), here/engine, engine, workers=2, size=1,
                   tell=lambda tally: seen.append((time.perf_counter(), tally.parts)))
        (early, few), (late, many) = seen[len(seen)//5], seen[-2]
        note('dispatch', engine, (many - few)/(late - early), 'parts a second', n)

PARTS = dict(parts=parts, threads=threads, dispatch=dispatch, speed=speed, together=together, memory=memory,
             kills=kills, ray_kills=ray_kills, storage=storage, archives=archives)

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('parts', nargs='+', choices=[*PARTS])
    add('--photos', default='data/oxford-iiit-pet/images')
    add('--bundle', default='packaged')
    add('--n', type=int, default=5000)
    add('--rows', type=int, default=100_000, help='for memory')
    add('--size', type=int, default=64, help='photos in a part, for speed')
    add('--workers', type=int, nargs='+', default=[1, 2], help='for speed')
    add('--turns', type=int, default=3, help='times that each engine is measured, for speed')
    add('--engine', default='local', help='for memory')
    add('--kills', type=int, default=30)
    add('--seed', type=int, default=0)
    args = parser.parse_args()
    for o in args.parts:
        with tempfile.TemporaryDirectory() as tmp: PARTS[o](args, Path(tmp))
