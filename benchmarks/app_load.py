"""Measure the page under load, with petpoo's classifier and with fastai's `learn.predict`; write results/app_load.csv.

    python benchmarks/app_load.py BUNDLE PHOTOS [--clients 50] [--seconds 60] [--only petpoo]

Each client sends photographs on a connection of its own. It compares label and probability with the answer that the
same network gave to the photo alone, so an answer to somebody else's photo is noticed. The server is a process of its
own, and its resident memory is read every second. fastai's learner has the bundle's network. It gets one photo at a
time, because `learn.predict` puts the photo into the learner itself: two calls at once get each other's answers.
With --only nothing is written. The exit code is 1 if petpoo's page gave an error or a wrong answer."""
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
        from fastai.vision.all import PILImage, vision_learner
        self.config, self.classes, self.lock, self.read = config, config['classes'], threading.Lock(), PILImage.create
        dls = toy_dls(self.classes, config['size'][0])
        self.learn = vision_learner(dls, config['arch'], pretrained=False, n_out=len(self.classes))

    def predict(self, photo):
        from petpoo.classify.prediction import make_prediction
        with self.lock, self.learn.no_bar(): probs = self.learn.predict(self.read(io.BytesIO(photo)))[2]
        return make_prediction(probs.numpy(), self.config | dict(abstention=None))

def toy_dls(classes, side):
    "DataLoaders with three black images of each class."
    from fastai.vision.all import ImageDataLoaders, Resize
    from PIL import Image
    folder, resize = Path(tempfile.mkdtemp()), Resize(side, 'squish')
    for o in classes:
        (folder/o).mkdir()
        for i in range(3): Image.new('RGB', (64, 64)).save(folder/o/f'{i}.png')
    return ImageDataLoaders.from_folder(folder, valid_pct=0.2, seed=0, item_tfms=resize, bs=8, num_workers=0)

def serve(kind, bundle, port, photos):
    "Print the answers to single photos, then serve the page over one of the two."
    import uvicorn
    from petpoo.serve.app import make_app
    from petpoo.learner import load_classifier
    clf = load_classifier(bundle, threads=1) # as `petpoo app` does: with OpenVINO where it is installed and faster
    if kind == 'fastai': clf = Fastai(clf.config)
    alone = {o.name: clf.predict(o.read_bytes()) for o in photos}
    print(json.dumps({k: [p.label, p.confidence] for k, p in alone.items()}), flush=True)
    uvicorn.run(make_app(clf), host='127.0.0.1', port=port, log_level='warning', timeout_keep_alive=65)

def verdict(response, expected):
    "'right', 'wrong' or 'error'."
    answer, (label, confidence) = json.loads(response.read()), expected
    if response.status != 200: return 'error'
    return 'right' if answer['label'] == label and abs(answer['confidence'] - confidence) < 1e-4 else 'wrong'

def client(i, port, photos, expected, end, results):
    "Send one photo after the other until the time is over."
    rng, connection = np.random.default_rng(i), http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    while time.perf_counter() < end:
        name = str(rng.choice([*photos]))
        began = time.perf_counter()
        try:
            connection.request('POST', '/api/predict', photos[name])
            came = verdict(connection.getresponse(), expected[name])
        except (OSError, ValueError, http.client.HTTPException):
            came = 'error'
            connection.close()
        results.append((time.perf_counter() - began, came))

def watch(process, stop, memory):
    while not stop.wait(1): memory.append(process.memory_info().rss/2**20)

def wait_for(port):
    for _ in range(600):
        with socket.socket() as s:
            if not s.connect_ex(('127.0.0.1', port)): return
        time.sleep(0.2)
    sys.exit('the server did not come up')

def free_port():
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        return s.getsockname()[1]

def start(kind, bundle, files, port):
    "The server's process."
    command = [sys.executable, __file__, str(bundle), str(files[0].parent), '--serve', kind, '--port', str(port)]
    names = ['--names', *[o.name for o in files]]
    return subprocess.Popen([*command, *names], stdout=subprocess.PIPE, text=True)

def crowd(clients, seconds, *args):
    "Let clients send photos at the same time; returns the seconds that it took, and (seconds, verdict) of each answer."
    began, results = time.perf_counter(), []
    end = began + seconds
    threads = [threading.Thread(target=client, args=(i, *args, end, results)) for i in range(clients)]
    for o in threads: o.start()
    for o in threads: o.join()
    return time.perf_counter() - began, results

def loaded(server, port, files, clients, seconds):
    "What `crowd` returns, and the memory of the server at each second."
    expected, photos = json.loads(server.stdout.readline()), {o.name: o.read_bytes() for o in files}
    wait_for(port)
    client(0, port, photos, expected, time.perf_counter() + 2, []) # warm-up
    memory, stop = [], threading.Event()
    threading.Thread(target=watch, args=(psutil.Process(server.pid), stop, memory), daemon=True).start()
    took, results = crowd(clients, seconds, port, photos, expected)
    stop.set()
    return took, results, memory

def load(kind, bundle, files, clients, seconds):
    "One row of figures."
    port = free_port()
    server = start(kind, bundle, files, port)
    try: took, results, memory = loaded(server, port, files, clients, seconds)
    finally:
        server.terminate()
        server.wait()
    seconds_each, verdicts = zip(*results)
    ms, third = np.array(seconds_each)*1000, max(1, len(memory)//3)
    return dict(
        page=kind, clients=clients, seconds=round(took, 1), answers=len(ms), errors=verdicts.count('error'),
        wrong=verdicts.count('wrong'), per_second=round(verdicts.count('right')/took, 1),
        median_ms=round(np.median(ms)), p95_ms=round(np.percentile(ms, 95)),
        memory_first_third_mib=round(np.mean(memory[:third])), memory_last_third_mib=round(np.mean(memory[-third:])),
        memory_most_mib=round(max(memory)))

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('bundle')
    p.add_argument('photos', type=Path, help='a folder of photographs; forty of them are sent')
    p.add_argument('--clients', type=int, default=50, help='at the same time (default: %(default)s)')
    p.add_argument('--seconds', type=int, default=60, help='of load (default: %(default)s)')
    p.add_argument('--only', choices=KINDS)
    for hidden in ('--serve', '--port'): p.add_argument(hidden, help=argparse.SUPPRESS)
    p.add_argument('--names', nargs='+', help=argparse.SUPPRESS)
    return p.parse_args()

def measure(args):
    "A row for each page."
    files = sorted(o for o in args.photos.iterdir() if o.suffix.lower() in ('.jpg', '.jpeg', '.png'))
    files = files[::max(1, len(files)//40)][:40]
    for kind in KINDS:
        if args.only in (None, kind): yield load(kind, args.bundle, files, args.clients, args.seconds) | environment()

def main():
    args = arguments()
    if args.serve: return serve(args.serve, args.bundle, int(args.port), [args.photos/o for o in args.names])
    rows = list(measure(args))
    table = pd.DataFrame(rows)
    print(table.iloc[:, :12].to_string(index=False))
    if len(rows) == 2: print(f'{rows[0]["per_second"]/rows[1]["per_second"]:.1f} times the throughput')
    if args.only is None: table.to_csv(OUT, index=False)
    if any(o['errors'] or o['wrong'] for o in rows[:1]): sys.exit('errors or wrong answers')

if __name__ == '__main__': main()
