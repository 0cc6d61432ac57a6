"""Measure memory and time of opening files that unfold, loop or never end; write results/bombs.csv.

    python benchmarks/bombs.py [NAME ...]

Each file is opened in a new process, once by a classifier and once as the audit measures it. The process has opened an
everyday photo before, and only what comes on top is counted: the peak of resident memory of the process and its
children, and their processor time. If files are named, nothing is written. The exit code is 1 if a file needs more than
300 MiB or 3 seconds, or ends in anything but an answer or an error of one line."""
import argparse, io, os, struct, subprocess, sys, tempfile, threading, time, zlib
from pathlib import Path
import pandas as pd, psutil
from PIL import Image
from petpoo.core import atomic_path, environment
from petpoo.sample.drawing import draw_pet

OUT = Path(__file__).parent.parent/'results'/'bombs.csv'
MEMORY, SECONDS = 300, 3 # MiB and seconds of processor beyond an everyday photo
SIDE = 9400 # 88 million pixels

def chunk(kind, data): return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

def packed(rows):
    packer = zlib.compressobj(9)
    return b''.join(map(packer.compress, rows)) + packer.flush()

ADAM7 = [ # first column and row, and steps, of the passes of an interlaced PNG
    (0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]

def png(bits, colours, interlaced=0, side=SIDE, before=b''):
    "A PNG of one colour."
    depth = bits*{0: 1, 2: 3, 3: 1, 6: 4}[colours]
    row = lambda width: bytes(-(-width*depth//8) + 1)
    passes = ADAM7 if interlaced else [(0, 0, 1, 1)]
    rows = (row(-(-(side - x)//dx)) for x, y, dx, dy in passes for _ in range(-(-(side - y)//dy)))
    palette = chunk(b'PLTE', bytes(768)) if colours == 3 else b''
    header = chunk(b'IHDR', struct.pack('>IIBBBBB', side, side, bits, colours, 0, 0, interlaced))
    return b'\x89PNG\r\n\x1a\n' + header + before + palette + chunk(b'IDAT', packed(rows)) + chunk(b'IEND', b'')

def bmp_rle(side=9000):
    row = b'\xff\x07'*(side//255) + bytes([side % 255, 7]) + b'\0\0'
    data = row*side + b'\0\1'
    header = struct.pack('<IiiHHIIiiII', 40, side, side, 1, 8, 1, len(data), 0, 0, 256, 0)
    return b'BM' + struct.pack('<IHHI', 14 + 40 + 1024 + len(data), 0, 0, 14 + 40 + 1024) + header + bytes(1024) + data

def saved(im, format, **options):
    buffer = io.BytesIO()
    im.save(buffer, format, **options)
    return buffer.getvalue()

def plain(mode='RGB', side=SIDE): return Image.new(mode, (side, side))

def more_scans(side, n):
    "A progressive JPEG whose last scan comes again and again."
    data = saved(plain('L', side), 'JPEG', progressive=True)
    return data[:-2] + data[data.rfind(b'\xff\xda'):-2]*n + b'\xff\xd9'

def long_exif(n=5000):
    "An EXIF block in which every entry points to the same 60 KB."
    entries = b''.join(struct.pack('<HHII', 0x9000 + i, 7, 60_000, 8) for i in range(n))
    block = b'Exif\0\0' + b'II*\0' + struct.pack('<IH', 8, n) + entries
    data = saved(plain('RGB', 400), 'JPEG')
    return data[:2] + b'\xff\xe1' + struct.pack('>H', len(block) + 2) + block + data[2:]

def tiff_entries(n=60_000, size=1 << 20):
    "A TIFF in which every entry points to the same megabyte."
    entries = b''.join(struct.pack('<HHII', i, 7, size, 8) for i in range(1, n))
    return b'II*\0' + struct.pack('<IH', 8, n - 1) + entries + struct.pack('<I', 0) + bytes(size)

def tiff_tile():
    "A small TIFF that says its one tile is huge."
    data = bytearray(saved(plain('RGB', 64), 'TIFF', compression='tiff_adobe_deflate'))
    start, = struct.unpack_from('<I', data, 4)
    for at in range(start + 2, start + 2 + 12*struct.unpack_from('<H', data, start)[0], 12):
        tag = struct.unpack_from('<H', data, at)[0]
        if tag == 278: struct.pack_into('<HHII', data, at, 278, 4, 1, 2**30) # rows per strip
        if tag in (256, 257): struct.pack_into('<HHII', data, at, tag, 4, 1, SIDE)
    return bytes(data)

def comment_gif(n=10_000_000):
    data = saved(plain('P', 64), 'GIF')
    at = data.index(b',')
    return data[:at] + b'!\xfe' + b'\1x'*n + b'\0' + data[at:]

def frames(n=4000):
    more = [Image.new('P', (64, 64), i % 250) for i in range(n)]
    return saved(plain('P', 64), 'GIF', save_all=True, append_images=more)

def noise():
    im = Image.effect_noise((4000, 4000), 80).convert('RGB')
    return saved(im, 'WEBP', lossless=True, method=0, quality=0)

def small_png(before): return png(8, 2, side=64, before=before)
def squeezed(size): return b'a\0\0' + zlib.compress(bytes(size))

def with_apps(n=5_000_000):
    data = saved(plain('RGB', 400), 'JPEG')
    return data[:2] + b'\xff\xe2\0\2'*n + data[2:]

BOMBS = {
    'png, 16-bit grey': lambda: png(16, 0),
    'png, 16-bit RGBA': lambda: png(16, 6),
    'png, RGB': lambda: png(8, 2),
    'png, RGBA': lambda: png(8, 6),
    'png, palette': lambda: png(8, 3),
    'png, 1 bit': lambda: png(1, 0),
    'png, interlaced RGB': lambda: png(8, 2, 1),
    'png, interlaced RGBA 16': lambda: png(16, 6, 1),
    'png, 2,000,000 chunks': lambda: small_png(chunk(b'teSt', b'')*2_000_000),
    'png, compressed text': lambda: small_png(chunk(b'zTXt', squeezed(900_000))*2000),
    'png, colour profile': lambda: small_png(chunk(b'iCCP', squeezed(10**9))),
    'bmp, run lengths': bmp_rle,
    'bmp, 100 MB': lambda: saved(plain('RGB', 5800), 'BMP'),
    'gif': lambda: saved(plain('P'), 'GIF'),
    'gif, long comment': comment_gif,
    'gif, 4,000 frames': frames,
    'jpeg': lambda: saved(plain(), 'JPEG'),
    'jpeg, progressive': lambda: saved(plain(), 'JPEG', progressive=True),
    'jpeg, progressive, 4:4:4': lambda: saved(plain(side=4090), 'JPEG', progressive=True, subsampling=0),
    'jpeg, 3,000 scans': lambda: more_scans(4000, 3000),
    'jpeg, 200 scans of 89 million': lambda: more_scans(SIDE, 200),
    'jpeg, 5,000,000 segments': with_apps,
    'jpeg, looping EXIF': long_exif,
    'jpeg, CMYK': lambda: saved(plain('CMYK'), 'JPEG'),
    'tiff, tiff_lzw': lambda: saved(plain(), 'TIFF', compression='tiff_lzw'),
    'tiff, tiff_adobe_deflate': lambda: saved(plain(), 'TIFF', compression='tiff_adobe_deflate'),
    'tiff, packbits': lambda: saved(plain(), 'TIFF', compression='packbits'),
    'tiff, jpeg': lambda: saved(plain(), 'TIFF', compression='jpeg'),
    'tiff, floats': lambda: saved(plain('F', 5000), 'TIFF', compression='tiff_adobe_deflate'),
    'tiff, 32-bit integers': lambda: saved(plain('I', 5000), 'TIFF', compression='tiff_lzw'),
    'tiff, entries of a megabyte': tiff_entries,
    'tiff, one huge strip': tiff_tile,
    'webp, lossless': lambda: saved(plain(side=9000), 'WEBP', lossless=True, method=0),
    'webp': lambda: saved(plain(side=9000), 'WEBP', method=0),
    'webp, 16 million': noise,
    'avif': lambda: saved(plain(side=6000), 'AVIF', speed=10)}

ANSWER = """
import sys
from petpoo.learner import load_classifier
clf = load_classifier(engine='onnxruntime')
clf.predict(sys.argv[1])
try:
    print('ready', flush=True)
    input()
    print('answered', clf.predict(sys.argv[2]).label)
except Exception as e: print(type(e).__name__, e)
"""
AUDIT = """
import sys
from petpoo.data.measures import measure
measure(sys.argv[1])
print('ready', flush=True)
input()
print('answered', measure(sys.argv[2])[0]['fault'])
"""

def tree(process):
    "Resident memory of a process and its children in MiB."
    with_children = [process, *process.children(recursive=True)]
    return sum(o.memory_info().rss for o in with_children) >> 20

class Watch:
    "The peak of `tree` while a thread looks at it."
    def __init__(self, process):
        self.process, self.peak, self.done = process, 0, threading.Event()
        self.thread = threading.Thread(target=self.look)
        self.thread.start()

    def look(self):
        while not self.done.wait(0.005):
            try: self.peak = max(self.peak, tree(self.process))
            except psutil.Error: pass

    def stop(self):
        self.done.set()
        self.thread.join()

def start(code, normal, file):
    "A process that has opened the normal photo and waits."
    command = [sys.executable, '-c', code, str(normal), str(file)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    run = subprocess.Popen(command, **pipes, text=True)
    run.stdout.readline()
    return run

def cost(code, normal, file):
    "What a process answers for `file`, and what that costs: MiB and seconds of processor."
    run = start(code, normal, file)
    process = psutil.Process(run.pid)
    before, used = tree(process), sum(process.cpu_times()[:2])
    run.stdin.write('\n')
    run.stdin.flush()
    began, watch = time.perf_counter(), Watch(process)
    answer = run.stdout.read().strip()
    took = time.perf_counter() - began
    usage = os.wait4(run.pid, 0)[2]
    watch.stop()
    seconds = usage.ru_utime + usage.ru_stime - used
    return dict(
        came_back=answer.replace(str(file), file.name)[:160], mib=max(0, watch.peak - before),
        processor_seconds=round(seconds, 2), seconds=round(took, 2))

def is_good(found):
    "Within the limits, with an answer or one of petpoo's errors."
    cheap = found['mib'] <= MEMORY and found['processor_seconds'] <= SECONDS
    return cheap and found['came_back'].startswith(('answered', 'PetpooError'))

def measure(names, folder):
    "A row for each file and each way to open it."
    normal, file = folder/'normal.jpg', folder/'bomb.jpg'
    draw_pet('pug', seed=3, size=512)[0].save(normal)
    for name in names:
        file.write_bytes(BOMBS[name]())
        mib = round(file.stat().st_size/2**20, 2)
        for way, code in dict(answer=ANSWER, audit=AUDIT).items():
            found = cost(code, normal, file)
            row = dict(bomb=name, file_mib=mib, opened_by=way, **found, good=is_good(found))
            print(row, flush=True)
            yield row | environment()

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('names', nargs='*', metavar='NAME', help=f'some of the files: {"; ".join(BOMBS)}')
    names = p.parse_args().names
    with tempfile.TemporaryDirectory() as folder: rows = list(measure(names or BOMBS, Path(folder)))
    if not names:
        with atomic_path(OUT) as path: pd.DataFrame(rows).to_csv(path, index=False)
    return not all(o['good'] for o in rows)

if __name__ == '__main__': raise SystemExit(main())
