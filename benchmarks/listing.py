"""How long a storage is listed before work begins: write results/listing.csv.

    python benchmarks/listing.py [--objects 1000000] [--delay 0.1]

needs petpoo[scale]. A server on 127.0.0.1, in a process of its own, answers as S3 does to a listing: a thousand names a
page, each page after a delay, since a storage far away takes some 0.1 s. There are no photographs behind the names.
Half of the names are in one of a hundred folders. Each row is one process: the same listing by s3fs; the first
photograph of the stream that `petpoo score` reads, and all of it; and the table that `petpoo audit` and `petpoo train`
read before they begin. Memory is the largest of the process."""
import argparse, bisect, json, os, resource, subprocess, sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit
from xml.sax.saxutils import escape
import pandas as pd
from petpoo.core import environment

OUT = Path(__file__).parent.parent/'results'/'listing.csv'
PAGE = 1000

def names_for(n, classes=100):
    "Keys of photographs in folders of classes, the largest with half of them."
    of_class = [n//2, *[n//2//(classes - 1)]*(classes - 1)]
    return sorted(f'pets/class_{k:03}/{i:07}.jpg' for k, m in enumerate(of_class) for i in range(m))

def page_of(keys, query):
    "The entries of a page: keys and common prefixes, and where the next one begins."
    prefix, mark = query.get('prefix', ''), query.get('delimiter', '')
    at = bisect.bisect_left(keys, prefix)
    if start := query.get('continuation-token') or query.get('start-after', ''):
        at = max(at, bisect.bisect_right(keys, start))
    found: list = []
    while at < len(keys) and keys[at].startswith(prefix) and len(found) < PAGE:
        head, cut, _ = keys[at][len(prefix):].partition(mark) if mark else ('', '', '')
        found.append((keys[at], not cut) if not cut else (f'{prefix}{head}{cut}', False))
        at = bisect.bisect_right(keys, f'{found[-1][0]}\U0010ffff') if cut else at + 1
    more = at < len(keys) and keys[at].startswith(prefix)
    return found, keys[at - 1] if more else ''

def as_xml(found, token):
    contents = ''.join(f'<Contents><Key>{escape(o)}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified>'
                       f'<ETag>"9e107d9d372bb6826bd81d3542a419d6"</ETag><Size>100000</Size>'
                       '<StorageClass>STANDARD</StorageClass></Contents>' for o, is_key in found if is_key)
    prefixes = ''.join(f'<CommonPrefixes><Prefix>{escape(o)}</Prefix></CommonPrefixes>' for o, is_key in found
                       if not is_key)
    following = f'<NextContinuationToken>{escape(token)}</NextContinuationToken>' if token else ''
    return ('<?xml version="1.0" encoding="UTF-8"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">'
            f'<IsTruncated>{str(bool(token)).lower()}</IsTruncated>{following}{contents}{prefixes}</ListBucketResult>')

def serve(n, delay):
    "Answer until the process is ended; the first line of output is the port."
    keys = names_for(n)
    class Handler(BaseHTTPRequestHandler):
        protocol_version = 'HTTP/1.1'
        def do_GET(self):
            query = {k: v[0] for k, v in parse_qs(urlsplit(self.path).query).items()}
            time.sleep(delay)
            body = as_xml(*page_of(keys, query)).encode()
            self.send_response(200)
            self.send_header('Content-Type', 'application/xml')
            self.send_header('Content-Length', str(len(body)))
            self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args): pass
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()

def by_s3fs(where):
    import s3fs
    return len(s3fs.S3FileSystem().find(where))

def first(where):
    from petpoo.scale.sources import entries
    next(entries(where))
    return 1

def stream(where):
    from petpoo.scale.sources import entries
    return sum(1 for _ in entries(where))

def table(where):
    from petpoo.data.layouts import read_table
    return len(read_table(where))

JOBS = dict(s3fs=by_s3fs, first=first, stream=stream, table=table)

def run(job):
    "Do a job, and print its figures."
    start = time.perf_counter()
    photos = JOBS[job]('s3://bucket/pets')
    peak = resource.getrusage(resource.RUSAGE_SELF)
    print(json.dumps(dict(photos=photos, seconds=time.perf_counter() - start, cpu_seconds=peak.ru_utime + peak.ru_stime,
                          memory_mib=peak.ru_maxrss >> 10)))

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--objects', type=int, default=1_000_000)
    p.add_argument('--delay', type=float, default=.1, help='seconds')
    p.add_argument('--serve', action='store_true', help=argparse.SUPPRESS)
    p.add_argument('--job', help=argparse.SUPPRESS)
    args = p.parse_args()
    if args.serve: return serve(args.objects, args.delay)
    if args.job: return run(args.job)
    server = subprocess.Popen([sys.executable, __file__, '--serve', '--objects', str(args.objects), '--delay',
                               str(args.delay)], stdout=subprocess.PIPE, text=True)
    env = os.environ | dict(AWS_ENDPOINT_URL=f'http://127.0.0.1:{server.stdout.readline().strip()}',
                            AWS_ACCESS_KEY_ID='a', AWS_SECRET_ACCESS_KEY='b', AWS_DEFAULT_REGION='us-east-1')
    rows = []
    try:
        for job in JOBS:
            done = subprocess.run([sys.executable, __file__, '--job', job], env=env, check=True, capture_output=True,
                                  text=True)
            rows.append(dict(job=job, objects=args.objects, delay=args.delay) | json.loads(done.stdout))
            print(rows[-1], flush=True)
    finally: server.kill()
    pd.DataFrame(rows).assign(**environment(('s3fs', 'aiobotocore'))).to_csv(OUT, index=False, float_format='%.4g')

if __name__ == '__main__': main()
