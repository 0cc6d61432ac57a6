"""What machines save that share a cache at an address: write results/shared_cache.csv.

    python benchmarks/shared_cache.py path/to/oxford-iiit-pet [--photos 1000]

needs petpoo[scale] and moto[server], which it starts as an S3 server on 127.0.0.1: no check measures a network. Photographs
lie in a bucket, and `PETPOO_CACHE` is an address in it. `petpoo train` runs for the first time, again, on a second
machine (a cache folder of its own), and on a third one that has the photographs on its disk. The table has the seconds
of each command, the photographs that it fetched, what else it asked the storage, and its accuracy, which is the same."""
import argparse, json, os, re, subprocess, tempfile, time
from pathlib import Path
import pandas as pd
from petpoo.core import environment
from petpoo.sample.bucket import s3_for_tests
from petpoo.storage import write_whole
from werkzeug.serving import WSGIRequestHandler

OUT = Path(__file__).parent.parent/'results'/'shared_cache.csv'
REQUESTS: list[str] = [] # methods and paths

def note_request(self, code='-', size='-'): REQUESTS.append(f'{self.command} {self.path}')

def train(data, machine, here, cache):
    "Seconds, requests and accuracy of a training."
    REQUESTS.clear()
    out, began = tempfile.mkdtemp(dir=here), time.perf_counter()
    env = os.environ | dict(PETPOO_CACHE=cache, XDG_CACHE_HOME=str(here/machine))
    subprocess.run(['petpoo', 'train', '--data', data, '--out', f'{out}/run'], env=env, check=True, capture_output=True)
    seconds = time.perf_counter() - began
    fetched = sum(bool(re.match(r'GET /photos/pets/.+\.jpg', o)) for o in REQUESTS)
    figures = json.loads(Path(f'{out}/run/metrics.json').read_text())['label']['metrics']
    return dict(seconds=seconds, photos_fetched=fetched, other_requests=len(REQUESTS) - fetched,
                accuracy=figures['accuracy']['value'])

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--photos', type=int, default=1000)
    args, rows = p.parse_args(), []
    files = sorted(Path(args.data).glob('images/*.jpg'))
    files = files[::max(1, len(files)//args.photos)][:args.photos]
    WSGIRequestHandler.log_request = note_request
    with tempfile.TemporaryDirectory() as home, s3_for_tests() as bucket:
        here = Path(home)
        for o in files:
            name = f'{o.stem.rsplit("_", 1)[0]}/{o.name}'
            write_whole(f'{bucket}/pets/{name}', o.read_bytes())
            write_whole(str(here/'pets'/name), o.read_bytes())
        jobs = dict(first=(f'{bucket}/pets', 'a'), again=(f'{bucket}/pets', 'a'), second_machine=(f'{bucket}/pets', 'b'),
                    on_its_disk=(str(here/'pets'), 'c'))
        for job, (data, machine) in jobs.items():
            rows.append(dict(job=job, photos=len(files), **train(data, machine, here, f'{bucket}/cache')))
            print(rows[-1], flush=True)
    pd.DataFrame(rows).assign(**environment(('s3fs', 'moto', 'pyarrow', 'openvino', 'onnxruntime'))).to_csv(
        OUT, index=False, float_format='%.4g')

if __name__ == '__main__': main()
