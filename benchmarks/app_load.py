"""Fifty clients at once for a minute: the page over petpoo's classifier, and the same page over fastai's `learn.predict`; write results/app_load.csv.

    python benchmarks/app_load.py BUNDLE PHOTOS [--clients 50] [--seconds 60] [--only petpoo]

Every client sends photographs on a connection of its own and compares each answer with the one that the same network gave when it was asked alone; the label and the
probability must be the same, so an answer to somebody else's photo is noticed. The server is a process of its own, and its resident memory is read every second. fastai's
learner has the bundle's network and is asked one at a time, because `learn.predict` puts the photo into the learner itself and two at once get each other's answers."""
import argparse, http.client, io, json, socket, subprocess, sys, tempfile, threading, time
from pathlib import Path
import numpy as np
import pandas as pd
import psutil
from petpoo.core import environment

OUT = Path(__file__).parent.parent/'results'/'app_load.csv'
KINDS = ['petpoo', 'fastai']

class Fastai:
    "fastai's learner, seen as the page sees a classifier."
    def __init__(self, config):
        from fastai.vision.all import ImageDataLoaders, PILImage, Resize, vision_learner
        from PIL import Image
        self.config, self.classes, self.lock, self.read = config, config['classes'], threading.Lock(), PILImage.create
        folder = Path(tempfile.mkdtemp())
        for o in self.classes:
            (folder/o).mkdir()
            for i in range(3): Image.new('RGB', (64, 64)).save(folder/o/f'{i}.png')
        dls = ImageDataLoaders.from_folder(folder, valid_pct=0.2, seed=0, item_tfms=Resize(config['size'][0], 'squish'), bs=8, num_workers=0)
        self.learn = vision_learner(dls, config['arch'], pretrained=False, n_out=len(self.classes))

    def predict(self, photo):
        from petpoo.classify.prediction import make_prediction
        with self.lock, self.learn.no_bar(): probs = self.learn.predict(self.read(io.BytesIO(photo)))[2]
        return make_prediction(probs.numpy(), self.config | dict(abstention=None))

def serve(kind, bundle, port, photos):
    "The page over one of the two; first the answers when asked alone."
    import uvicorn
    from petpoo.serve.app import make_app
    from petpoo.learner import load_classifier
    clf = load_classifier(bundle, threads=1) # as `petpoo app` does: with OpenVINO where it is installed and faster
    if kind == 'fastai': clf = Fastai(clf.config)
    alone = {o.name: clf.predict(o.read_bytes()) for o in photos}
    print(json.dumps({k: [p.label, p.confidence] for k, p in alone.items()}), flush=True)
    uvicorn.run(make_app(clf), host='127.0.0.1', port=port, log_level='warning', timeout_keep_alive=65)

def client(i, port, photos, expected, end, results):
    "One customer: a photo after the other until the time is over."
    rng, connection = np.random.default_rng(i), http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    while time.perf_counter() < end:
        name = str(rng.choice([*photos]))
        began = time.perf_counter()
        try:
            connection.request('POST', '/api/predict', photos[name])
            response = connection.getresponse()
            said = json.loads(response.read())
            right = response.status == 200 and said['label'] == expected[name][0] and abs(said['confidence'] - expected[name][1]) < 1e-4
            results.append((time.perf_counter() - began, 'right' if right else 'error' if response.status != 200 else 'wrong'))
        except (OSError, ValueError, http.client.HTTPException):
            results.append((time.perf_counter() - began, 'error'))
            connection.close()

def watch(process, stop, memory):
    while not stop.wait(1): memory.append(process.memory_info().rss/2**20)

def wait_for(port):
    for _ in range(600):
        with socket.socket() as s:
            if not s.connect_ex(('127.0.0.1', port)): return
        time.sleep(0.2)
    sys.exit('the server did not come up')

def load(kind, bundle, files, clients, seconds):
    "One row of figures."
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    server = subprocess.Popen([sys.executable, __file__, str(bundle), str(files[0].parent), '--serve', kind, '--port', str(port), '--names', *[o.name for o in files]], stdout=subprocess.PIPE, text=True)
    try:
        expected = json.loads(server.stdout.readline())
        wait_for(port)
        photos, results, memory, stop = {o.name: o.read_bytes() for o in files}, [], [], threading.Event()
        client(0, port, photos, expected, time.perf_counter() + 2, []) # warm-up
        threading.Thread(target=watch, args=(psutil.Process(server.pid), stop, memory), daemon=True).start()
        end = time.perf_counter() + seconds
        crowd = [threading.Thread(target=client, args=(i, port, photos, expected, end, results)) for i in range(clients)]
        began = time.perf_counter()
        for o in crowd: o.start()
        for o in crowd: o.join()
        took = time.perf_counter() - began
        stop.set()
    finally: server.terminate(); server.wait()
    seconds_each, verdicts = zip(*results)
    ms = np.array(seconds_each)*1000
    third = max(1, len(memory)//3)
    return dict(page=kind, clients=clients, seconds=round(took, 1), answers=len(ms), errors=verdicts.count('error'), wrong=verdicts.count('wrong'),
        per_second=round(verdicts.count('right')/took, 1), median_ms=round(np.median(ms)), p95_ms=round(np.percentile(ms, 95)),
        memory_first_third_mib=round(np.mean(memory[:third])), memory_last_third_mib=round(np.mean(memory[-third:])), memory_most_mib=round(max(memory)))

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add('bundle'); add('photos', type=Path, help='a folder of photographs; forty of them are sent')
    add('--clients', type=int, default=50); add('--seconds', type=int, default=60); add('--only', choices=KINDS)
    for hidden in ('--serve', '--port'): add(hidden, help=argparse.SUPPRESS)
    add('--names', nargs='+', help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve: return serve(args.serve, args.bundle, int(args.port), [args.photos/o for o in args.names])
    files = sorted(o for o in args.photos.iterdir() if o.suffix.lower() in ('.jpg', '.jpeg', '.png'))
    files = files[::max(1, len(files)//40)][:40]
    rows = [load(o, args.bundle, files, args.clients, args.seconds) | environment() for o in KINDS if args.only in (None, o)]
    table = pd.DataFrame(rows)
    print(table.iloc[:, :12].to_string(index=False))
    if len(rows) == 2: print(f'{rows[0]["per_second"]/rows[1]["per_second"]:.1f} times the throughput')
    if args.only is None: table.to_csv(OUT, index=False)
    if any(o['errors'] or o['wrong'] for o in rows[:1]): sys.exit('errors or wrong answers')

if __name__ == '__main__': main()
