"""Feed damaged image files to a classifier; write results/fuzz_images.csv.

    python benchmarks/fuzz_images.py [--cases 20000] [--seed 0]

Files are drawn in every format that photographs have, and in some formats that are refused. Half of the cases are
damaged blindly: cut, bytes changed, parts repeated, removed, swapped or taken from another file. The other half are
damaged with knowledge of the format: sizes, counts, offsets, chunks, scans and directories are changed, and checksums
are correct again. The cases run in a process of their own, which is watched. If it dies, the case counts as a crash; if
a case takes longer than a minute, as a hang. The exit code is 1 if anything but an answer or a `PetpooError` came
back."""
import argparse, contextlib, io, multiprocessing as mp, queue, re, resource, struct, tempfile, time, zlib
from collections import Counter
from pathlib import Path
import numpy as np, pandas as pd
from PIL import Image
from petpoo.sample.toys import toy_bundle
from petpoo.core import PetpooError, atomic_path, environment
from petpoo.classify.inference import Classifier
from petpoo.sample.drawing import draw_pet

OUT = Path(__file__).parent.parent/'results'/'fuzz_images.csv'
FILES = { # name -> format, mode, options
    'jpeg': ('JPEG', 'RGB', {}),
    'jpeg progressive': ('JPEG', 'RGB', dict(progressive=True)),
    'jpeg grey': ('JPEG', 'L', {}),
    'jpeg cmyk': ('JPEG', 'CMYK', {}),
    'png': ('PNG', 'RGB', {}),
    'png grey': ('PNG', 'L', {}),
    'png alpha': ('PNG', 'RGBA', {}),
    'png palette': ('PNG', 'P', {}),
    'png 16 bits': ('PNG', 'I', {}),
    'gif': ('GIF', 'P', {}),
    'webp': ('WEBP', 'RGB', {}),
    'webp alpha': ('WEBP', 'RGBA', dict(lossless=True)),
    'bmp': ('BMP', 'RGB', {}),
    'bmp palette': ('BMP', 'P', {}),
    'tiff': ('TIFF', 'RGB', {}),
    'tiff lzw': ('TIFF', 'RGB', dict(compression='tiff_lzw')),
    'tiff deflate': ('TIFF', 'RGBA', dict(compression='tiff_adobe_deflate')),
    'tiff float': ('TIFF', 'F', {}),
    'tiff jpeg': ('TIFF', 'RGB', dict(compression='jpeg')),
    'avif': ('AVIF', 'RGB', dict(speed=10)),
    'heif': ('HEIF', 'RGB', {}),
    'jp2': ('JPEG2000', 'RGB', {}),
    'ico': ('ICO', 'RGB', {}),
    'ppm': ('PPM', 'RGB', {}),
    'eps': ('EPS', 'RGB', {}),
    'icns': ('ICNS', 'RGBA', {})}
SECONDS = 60 # for one case
WORDS = [b'\xff'*4, b'\0'*4, b'\x7f\xff\xff\xff', b'\0\0\xff\xff']
NUMBERS = [0, 1, 2, 3, 7, 8, 255, 256, 4096, 9000, 32767, 65535, 2**31 - 1, 2**31, 2**32 - 1]

def whole_files():
    "One drawn pet, with metadata, in every format that is installed: name -> bytes."
    with contextlib.suppress(ImportError):
        import pillow_heif
        pillow_heif.register_heif_opener()
    im, exif, files = draw_pet('pug', seed=0, size=120)[0], Image.Exif(), {}
    exif[0x0112] = 6
    for name, (format, mode, options) in FILES.items():
        extra = dict(exif=exif) if format in ('JPEG', 'PNG', 'WEBP', 'AVIF', 'TIFF') else {}
        with io.BytesIO() as b:
            try: im.convert(mode).save(b, format, **options, **extra)
            except (KeyError, OSError): continue # not installed
            files[name] = b.getvalue()
    return files

def blindly(raw, other, rng):
    "One to three injuries anywhere."
    raw = bytearray(raw)
    for _ in range(rng.integers(1, 4)):
        if len(raw) < 2: break
        a, b = sorted(map(int, rng.integers(0, len(raw), 2)))
        early = int(rng.integers(0, min(len(raw), 64)))
        match rng.integers(0, 9):
            case 0: del raw[a:]
            case 1: raw[a] ^= 1 << int(rng.integers(8))
            case 2: raw[a:a + 4] = rng.bytes(4)
            case 3: raw[early:early + 4] = rng.choice([*WORDS, rng.bytes(4)])
            case 4: del raw[a:b]
            case 5: raw[a:a] = raw[a:b]
            case 6: raw[a:b] = other[a:b]
            case 7:
                for i in rng.integers(0, len(raw), max(1, len(raw)//200)): raw[i] = rng.integers(256)
            case 8: raw[early] = rng.integers(256)
    return bytes(raw)

def number(rng, bits): return int(rng.choice(NUMBERS) if rng.random() < 0.8 else rng.integers(2**31)) % 2**bits

def chunks_of(raw):
    "Kind and content of a PNG's chunks."
    chunks, at = [], 8
    while at + 8 <= len(raw):
        size, kind = struct.unpack_from('>I4s', raw, at)
        chunks.append([kind, bytearray(raw[at + 8:at + 8 + size])])
        at += 12 + size
    return chunks

def as_chunk(kind, data): return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))

def png(raw, rng):
    "Other sizes, modes and chunks, with checksums."
    chunks = chunks_of(raw)
    i = int(rng.integers(len(chunks)))
    match rng.integers(0, 6):
        case 0: struct.pack_into('>I', chunks[0][1], 4*int(rng.integers(2)), number(rng, 31))
        case 1: chunks[0][1][8 + int(rng.integers(5))] = int(rng.choice([0, 1, 2, 3, 4, 6, 8, 16, 255]))
        case 2: chunks[i:i] = [chunks[i]]*int(rng.integers(1, 50))
        case 3: del chunks[i]
        case 4: chunks[i][1] = bytearray(rng.bytes(int(rng.integers(0, 300))))
        case 5:
            for c in chunks:
                if c[0] == b'IDAT': c[1] = bytearray(zlib.compress(rng.bytes(int(rng.integers(0, 90_000)))))
    return raw[:8] + b''.join(as_chunk(*o) for o in chunks)

def odd_exif(rng):
    head = b'\xff\xe1' + struct.pack('>H', 62) + b'Exif\0\0II*\0'
    return head + struct.pack('<IH', 8, 60_000) + rng.bytes(44)

def jpeg(raw, rng):
    "Other sizes, kinds, scans and tables."
    raw = bytearray(raw)
    sof = next(m.start() for m in re.finditer(rb'\xff[\xc0-\xc2]', raw))
    scans = [m.start() for m in re.finditer(rb'\xff\xda', raw)]
    match rng.integers(0, 6):
        case 0: struct.pack_into('>H', raw, sof + 5 + 2*int(rng.integers(2)), number(rng, 16))
        case 1: raw[sof + 1] = 0xc0 + int(rng.integers(16))
        case 2: raw[sof + 9 + int(rng.integers(9))] = number(rng, 8)
        case 3: raw[-2:-2] = raw[int(rng.choice(scans)):-2]*int(rng.integers(1, 30))
        case 4: raw[2:2] = odd_exif(rng)
        case 5:
            tables = list(re.finditer(rb'\xff[\xc4\xdb]', raw[:scans[0]]))
            for m in tables[:int(rng.integers(1, 4))]: raw[m.start() + 4 + int(rng.integers(60))] = number(rng, 8)
    return bytes(raw)

def tiff(raw, rng):
    "Other tags, types, counts, values and links in the directory."
    raw = bytearray(raw)
    order = '<' if raw[:2] == b'II' else '>'
    start = struct.unpack_from(order + 'I', raw, 4)[0]
    n = struct.unpack_from(order + 'H', raw, start)[0]
    for _ in range(int(rng.integers(1, 4))):
        at = start + 2 + 12*int(rng.integers(n))
        match rng.integers(0, 5):
            case 0: struct.pack_into(order + 'H', raw, at, int(rng.integers(254, 350)))
            case 1: struct.pack_into(order + 'H', raw, at + 2, int(rng.integers(0, 18)))
            case 2: struct.pack_into(order + 'I', raw, at + 4, number(rng, 32))
            case 3: struct.pack_into(order + 'I', raw, at + 8, number(rng, 32))
            case 4: struct.pack_into(order + 'I', raw, start + 2 + 12*n, int(rng.choice([0, 8, start, len(raw)])))
    return bytes(raw)

def numbers_in_header(raw, rng):
    "Other numbers near the start, where boxes and headers have theirs."
    raw = bytearray(raw)
    for _ in range(int(rng.integers(1, 4))):
        order, kind, size = rng.choice(['<', '>']), *[('B', 8), ('H', 16), ('I', 32)][int(rng.integers(3))]
        at = int(rng.integers(0, min(len(raw) - 4, 400)))
        struct.pack_into(f'{order}{kind}', raw, at, number(rng, size))
    return bytes(raw)

def knowingly(name, raw, rng):
    "Damage by format."
    return dict(png=png, jpeg=jpeg, tiff=tiff).get(name.split()[0], numbers_in_header)(raw, rng)

def damaged(name, other, files, rng):
    "A file's content, damaged with or without knowledge of the format."
    try:
        if rng.random() < 0.5: return knowingly(name, files[name], rng)
    except (struct.error, IndexError, StopIteration): pass
    return blindly(files[name], files[other], rng)

def case(i, seed, files, state):
    "Damage one file and ask for an answer, from bytes or from disk."
    rng, names = np.random.default_rng([seed, i]), list(files)
    name, other = names[i % len(names)], names[int(rng.integers(len(names)))]
    raw = damaged(name, other, files, rng)
    on_disk = rng.random() < 0.5
    if on_disk: (state['folder']/'x.jpg').write_bytes(raw)
    state['classifier'].predict(state['folder']/'x.jpg' if on_disk else raw)

def peak(): return max(resource.getrusage(o).ru_maxrss for o in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))//1024

def outcome(i, seed, files, state, counts):
    "Run a case and count how it ended; returns what is wrong, or None."
    try: case(i, seed, files, state)
    except PetpooError as e:
        counts['refused'] += 1
        if 'seconds or' in str(e): counts['too_expensive'] += 1
        return f'several lines: {e!r}' if '\n' in str(e) else None
    except BaseException as e:
        counts['other_exception'] += 1
        return repr(e)[:200]
    counts['answered'] += 1

def work(first, last, seed, files, at, results):
    "Run cases; `at` holds the one that is running and when it began."
    with tempfile.TemporaryDirectory() as tmp:
        state = dict(folder=Path(tmp), classifier=Classifier(toy_bundle(f'{tmp}/toy'), threads=1))
        counts, wrong = Counter(), []
        for i in range(first, last):
            at[0], at[1] = i, time.time()
            if found := outcome(i, seed, files, state, counts): wrong.append((i, found))
            counts['slowest_ms'] = max(counts['slowest_ms'], round(1000*(time.time() - at[1])))
        counts['peak_mib'] = peak()
    results.put((counts, wrong))
    at[0] = -1

def wait(process, at, results):
    "What the process returns; None if it died or hung."
    while process.is_alive():
        try: return results.get(timeout=0.5)
        except queue.Empty:
            if at[0] < 0 or time.time() - at[1] <= SECONDS: continue
            process.kill()
            process.join()
    return None if results.empty() else results.get()

def run(first, last, seed, files):
    "What the cases return, or None; the exit code; the case that ran last."
    at, results = mp.Array('d', 2), mp.Queue()
    at[0], at[1] = first, time.time()
    p = mp.Process(target=work, args=(first, last, seed, files, at, results))
    p.start()
    found = wait(p, at, results)
    p.join(5)
    return found, p.exitcode, int(at[0])

def watched(n, seed, files, step=1000):
    "All cases, `step` in a process; a process that dies or hangs is replaced after the case that did it."
    total, wrong, first = Counter(), [], 0
    while first < n:
        last = min(first + step, n)
        found, code, i = run(first, last, seed, files)
        if found is None:
            how = 'hung' if code == -9 else 'crashed'
            total += Counter({how: 1, 'lost': i - first}) # lost: answered before it, not counted
            wrong.append((i, f'{how}, exit code {code}'))
            first = i + 1
            continue
        counts, faults = found
        for o in ('slowest_ms', 'peak_mib'): total[o] = max(total[o], counts.pop(o))
        total.update(counts)
        wrong += faults
        first = last
        print(f'{first:,} of {n:,}', dict(total), flush=True)
    return total, wrong

COLUMNS = 'answered refused too_expensive lost other_exception crashed hung slowest_ms peak_mib'.split()

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--cases', type=int, default=20_000, help='damaged files (default: %(default)s)')
    p.add_argument('--seed', type=int, default=0)
    return p.parse_args()

def main():
    args, files, began = arguments(), whole_files(), time.perf_counter()
    total, wrong = watched(args.cases, args.seed, files)
    counts, seconds = {o: total[o] for o in COLUMNS}, round(time.perf_counter() - began)
    row = dict(cases=args.cases, formats='; '.join(files), **counts, seconds=seconds, seed=args.seed)
    print(row, *wrong[:20], sep='\n', flush=True)
    with atomic_path(OUT) as path: pd.DataFrame([row | environment()]).to_csv(path, index=False)
    return bool(wrong)

if __name__ == '__main__': raise SystemExit(main())
