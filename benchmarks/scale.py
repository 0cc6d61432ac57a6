"""Measure the map over images: python benchmarks/scale.py PART... [--photos FOLDER] [--n 5000]

PART: speed (local, then Ray), together (both at once), memory (100,000 rows), kills (workers and the driver), storage (objects beside shards),
threads (beside processes), dispatch (parts a second), parts (their times).
Appends to results/scale.csv."""
import argparse, csv, json, os, random, signal, subprocess, sys, tarfile, tempfile, threading, time
from collections import Counter
from pathlib import Path
import pyarrow.dataset as ds
from petpoo.core import environment, start_python
from petpoo.decode import SUFFIXES

RESULTS = Path(__file__).parent.parent/'results'/'scale.csv'
COLUMNS = ['part', 'what', 'value', 'unit', 'n', 'note', 'processor', 'cores']

def note(part, what, value, unit, n, text=''):
    "Print a figure, and append it to the results."
    facts = environment(())
    row = [part, what, f'{value:.4g}', unit, n, text, facts['processor'], facts['cores']]
    print(*row[:6], flush=True)
    new = not RESULTS.exists()
    with open(RESULTS, 'a', newline='') as f:
        writer = csv.writer(f, lineterminator='\n')
        if new: writer.writerow(COLUMNS)
        writer.writerow(row)

def photos_in(folder): return sorted(str(o) for o in Path(folder).rglob('*') if o.suffix.lower() in SUFFIXES)

def write_table(file, paths):
    file.write_text('\n'.join(['path', *paths]) + '\n')
    return str(file)

def rows_of(out): return ds.dataset(str(out)).to_table().to_pandas().sort_values('path', ignore_index=True)

def steady(args, paths, out, engine, workers):
    "Photos a second between the first and the last part that is done, without the start of an engine."
    from petpoo.scale.mapping import map_images
    from petpoo.scale.score import Scorer
    seen = []
    map_images(paths, Scorer(args.bundle), out, engine, workers, size=args.size,
               tell=lambda tally: seen.append((tally.seconds, tally.photos)))
    (first, few), (last, many) = seen[0], seen[-2] # the last call is the summary
    return (many - few)/(last - first), first

def speed(args, here):
    "Local processes and Ray with one and two workers, on the same photos, one after the other."
    paths = photos_in(args.photos)
    paths = [paths[i % len(paths)] for i in range(args.n)]
    rate = {}
    for workers in (1, 2):
        for engine in ('local', 'ray'):
            rate[engine, workers], start = steady(args, paths, here/f'{engine}{workers}', engine, workers)
            text = f'first part after {start:.0f} s'
            note('speed', f'{engine}, {workers} workers', rate[engine, workers], 'photos a second', args.n, text)
        more = 100*(rate['local', workers]/rate['ray', workers] - 1)
        note('speed', f'time of ray above local, {workers} workers', more, '%', args.n)
    same = rows_of(here/'local1').equals(rows_of(here/'ray2'))
    note('speed', 'rows of ray equal to local', same, 'yes or no', args.n)

def together(args, here):
    "One local worker and one of Ray at the same time, so that other work on the machine slows both alike."
    from petpoo.scale.mapping import map_images
    from petpoo.scale.score import Scorer
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
    note('together', 'rows of ray equal to local', rows_of(here/'local').equals(rows_of(here/'ray')), 'yes or no', args.n)

def resident(pid):
    "MiB of a process and of its children."
    pages = {}
    for stat in Path('/proc').glob('[0-9]*/stat'):
        try: fields = stat.read_text().rpartition(')')[2].split()
        except OSError: continue
        pages[int(stat.parent.name)] = int(fields[1]), int(fields[21])
    def below(o): return [o, *(p for child, (parent, _) in pages.items() if parent == o for p in below(child))]
    return pages[pid][1]/256, [pages[o][1]/256 for o in below(pid)[1:]]

def memory(args, here):
    "Memory of the driver and of the workers over 100,000 rows of a toy bundle."
    from PIL import Image
    from petpoo.sample.toys import toy_bundle
    (here/'small').mkdir()
    for i in range(100): Image.new('RGB', (40, 40), (i, 255 - i, 128)).save(here/'small'/f'{i}.jpg')
    paths = photos_in(here/'small')
    table = write_table(here/'table.csv', [paths[i % 100] for i in range(args.rows)])
    code = 'from petpoo.cli import main; sys.exit(main(sys.argv[1:]))'
    words = ['score', str(toy_bundle(here/'toy')), table, '--out', str(here/'out'), '--workers', '2', '--json']
    child, seen = start_python(code, *words, stdout=subprocess.PIPE), []
    for n, line in enumerate(child.stdout):
        if n % 5 == 0 and json.loads(line)['event'] == 'progress': seen.append(resident(child.pid))
    child.wait()
    facts = json.loads(line)
    tenth, last = seen[len(seen)//10], seen[-1]
    for what, early, late in (('driver', tenth[0], last[0]), ('largest worker', max(tenth[1]), max(last[1]))):
        note('memory', f'{what} after 10%', early, 'MiB', facts['photos'])
        note('memory', f'{what} at the end', late, 'MiB', facts['photos'])
    note('memory', 'toy bundle, 2 workers', facts['rate'], 'photos a second', facts['photos'])

SLOW = '''
import time
from petpoo.scale.parts import Sizes
class Slow(Sizes):
    def open(self):
        size = super().open()
        def work(photos):
            time.sleep(.02*len(photos))
            return size(photos)
        return work
'''
DRIVER = ('sys.path.insert(0, sys.argv[1]); from slow_worker import Slow; from petpoo.scale.mapping import map_images; '
          'map_images(sys.argv[2], Slow(), sys.argv[3], workers=2, size=8, engine=sys.argv[4])')

def children_of(pid):
    found = subprocess.run(['ps', '-o', 'pid=', '--ppid', str(pid)], capture_output=True, text=True).stdout.split()
    return list(map(int, found))

def kills(args, here):
    "Random kills of workers and of the driver; nothing may be lost or doubled."
    from PIL import Image
    (here/'slow_worker.py').write_text(SLOW)
    (here/'photos').mkdir()
    for i in range(400): Image.new('RGB', (8 + i % 50, 8), 'red').save(here/'photos'/f'{i:03}.png')
    rng, done = random.Random(args.seed), Counter()
    def start(): return start_python(DRIVER, str(here), str(here/'photos'), str(here/'out'), 'local',
                                     stderr=subprocess.PIPE)
    driver = start()
    while done.total() < args.kills:
        while driver.poll() is None and len(children_of(driver.pid)) < 2: time.sleep(.05)
        time.sleep(rng.uniform(0, 3))
        if driver.poll() is not None: # finished before the last kill: begin again with another folder
            if driver.returncode: sys.exit(f'the driver failed: {driver.stderr.read().decode()[-3000:]}')
            check_rows(here, driver.returncode)
            subprocess.run(['rm', '-r', str(here/'out')], check=True)
            driver = start()
            continue
        workers = children_of(driver.pid)
        whom = rng.choice(['driver', 'worker', 'worker']) if workers else 'driver'
        os.kill(rng.choice(workers) if whom == 'worker' else driver.pid, signal.SIGKILL)
        done[whom] += 1
        if whom == 'driver':
            driver.wait()
            driver = start()
    lost = check_rows(here, driver.wait())
    note('kills', 'rows lost or doubled', lost, 'rows', 400, f'{done["worker"]} kills of workers, {done["driver"]} of the driver')

def check_rows(here, code):
    "The number of rows that are lost, doubled or wrong."
    found = rows_of(here/'out')
    wanted = photos_in(here/'photos')
    wrong = (found.error != '').sum() + (found.width != [8 + i % 50 for i in range(400)]).sum() if len(found) == 400 else 0
    lost = len(set(wanted) ^ set(found.path)) + abs(len(found) - len(wanted)) + int(wrong) + 1000*(code != 0)
    if lost: sys.exit(f'{lost} rows are lost, doubled or wrong; the driver ended with {code}')
    return lost

def storage(args, here):
    "Seconds a thousand images as single objects and as tar shards, on an S3 server of this machine."
    from petpoo.sample.bucket import s3_for_tests
    from petpoo.scale.reading import read_photos
    from petpoo.scale.storage import write_whole
    paths = photos_in(args.photos)[:1000]
    with s3_for_tests() as bucket:
        for o in paths: write_whole(f'{bucket}/single/{Path(o).name}', Path(o).read_bytes())
        for i in range(2):
            with tarfile.open(here/'shard.tar', 'w') as tar:
                for o in paths[500*i:500*i+500]: tar.add(o, Path(o).name)
            write_whole(f'{bucket}/shards/{i}.tar', (here/'shard.tar').read_bytes())
        note('storage', 'size of a photo', sum(os.path.getsize(o) for o in paths)/len(paths)/1024, 'KiB', len(paths))
        objects, shards = [f'{bucket}/single/{Path(o).name}' for o in paths], [f'{bucket}/shards/{i}.tar' for i in range(2)]
        for what, groups in (('single objects', [objects]), ('tar shards', [[o] for o in shards]), ('local files', [paths])):
            start = time.perf_counter()
            n = sum(len(o.content.read() if hasattr(o.content, 'read') else Path(o.content).read_bytes()) > 0
                    for group in groups for o in read_photos(group))
            note('storage', f'reading {what}', time.perf_counter() - start, 'seconds', n, 'moto in the same process')

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
    "Processor seconds of each part of 16 photos, with one thread, to results/scale_parts.csv."
    from petpoo.scale.parts import Plan, do_part
    from petpoo.scale.score import Scorer
    worker, seconds = Scorer(args.bundle), []
    work, schema = worker.open(), worker.schema()
    for part in Plan(photos_in(args.photos)[:args.n//16*16], str(here/'out'), 16):
        start = time.process_time()
        if do_part(work, schema, part, str(here/'out')).rows: seconds.append(time.process_time() - start)
    (RESULTS.parent/'scale_parts.csv').write_text('\n'.join(['seconds', *(f'{o:.4f}' for o in seconds)]) + '\n')
    written = sum(o.stat().st_size for o in (here/'out').glob('part-*'))
    note('parts', 'output a row', written/(16*len(seconds)), 'bytes', 16*len(seconds))
    note('parts', 'one thread', 16*len(seconds)/sum(seconds), 'photos a processor second', 16*len(seconds))

def dispatch(args, here):
    "Parts a second that an engine hands out, with parts of one tiny photo."
    from PIL import Image
    from petpoo.scale.mapping import map_images
    from petpoo.scale.parts import Sizes
    Image.new('RGB', (8, 8)).save(here/'tiny.png')
    for engine, n in (('ray', 200), ('local', 1000)):
        seen = []
        map_images([str(here/'tiny.png')]*n, Sizes(), here/engine, engine, workers=2, size=1,
                   tell=lambda tally: seen.append((time.perf_counter(), tally.parts)))
        (early, few), (late, many) = seen[len(seen)//5], seen[-2]
        note('dispatch', engine, (many - few)/(late - early), 'parts a second', n)

PARTS = dict(parts=parts, threads=threads, dispatch=dispatch, speed=speed, together=together, memory=memory, kills=kills, storage=storage)

if __name__ == '__main__':
    parser = argparse.ArgumentParser(description=__doc__)
    add = parser.add_argument
    add('parts', nargs='+', choices=[*PARTS])
    add('--photos', default='data/oxford-iiit-pet/images')
    add('--bundle', default='packaged')
    add('--n', type=int, default=5000)
    add('--rows', type=int, default=100_000, help='for memory')
    add('--size', type=int, default=64, help='photos in a part, for speed')
    add('--kills', type=int, default=30)
    add('--seed', type=int, default=0)
    args = parser.parse_args()
    for o in args.parts:
        with tempfile.TemporaryDirectory() as tmp: PARTS[o](args, Path(tmp))
