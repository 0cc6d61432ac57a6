"How many drawn pets a second one core makes, JPEG files included; writes results/draw_speed.csv"
import os
os.environ['OMP_NUM_THREADS'] = '1'
import tempfile, time
from pathlib import Path

import pandas as pd

from petpoo.core import atomic_path, environment
from petpoo.sample.faults import draw_pets

dest = Path(__file__).resolve().parent.parent/'results'/'draw_speed.csv'
rows = []
with tempfile.TemporaryDirectory() as tmp:
    draw_pets(Path(tmp)/'warm', n=10)
    for size in (64, 128, 256):
        start = time.process_time()
        draw_pets(Path(tmp)/'pets', n=370, size=size)
        rows.append(dict(size=size, images=370, images_per_second=round(370/(time.process_time()-start), 1), **environment(('petpoo', 'numpy', 'pillow'))))
df = pd.DataFrame(rows)
with atomic_path(dest) as tmp: df.to_csv(tmp, index=False)
print(df.to_string(index=False)); print(f'written to {dest}')
