"""Measure how many drawn pets one core makes in a second, JPEG files included; write results/draw_speed.csv.

    python benchmarks/draw_speed.py"""
import os
os.environ['OMP_NUM_THREADS'] = '1' # before numpy is imported
import tempfile, time
from pathlib import Path
import pandas as pd
from petpoo.core import atomic_path, environment
from petpoo.sample.faults import draw_pets

OUT = Path(__file__).resolve().parent.parent/'results'/'draw_speed.csv'
IMAGES = 370

def measure(folder, size):
    "A row for pictures of `size` pixels, by processor time."
    start = time.process_time()
    draw_pets(folder, n=IMAGES, size=size)
    rate = round(IMAGES/(time.process_time() - start), 1)
    return dict(size=size, images=IMAGES, images_per_second=rate, **environment(('petpoo', 'numpy', 'pillow')))

def main():
    with tempfile.TemporaryDirectory() as tmp:
        draw_pets(Path(tmp)/'warm', n=10)
        table = pd.DataFrame([measure(Path(tmp)/'pets', size) for size in (64, 128, 256)])
    with atomic_path(OUT) as path: table.to_csv(path, index=False)
    print(table.to_string(index=False))
    print(f'written to {OUT}')

if __name__ == '__main__': main()
