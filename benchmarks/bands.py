"""Measure the join of close hashes: python benchmarks/bands.py [N ...]

Random hashes, a hundredth of them planted near another; time and peak memory of the join above that of the hashes, in a process for each.
Writes results/bands.csv."""
import csv, subprocess, sys, time
from pathlib import Path
import numpy as np
from petpoo.core import environment
from petpoo.data.bands import close_pairs, key_masks

RESULTS = Path(__file__).parent.parent/'results'/'bands.csv'

def peak():
    import resource
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss/2**10 # MiB, on Linux

def one(n, distance):
    "Print what the join of n hashes takes."
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, n, np.uint64)
    hashes[n//2:n//2 + n//100] = hashes[:n//100]
    for _ in range(distance): hashes[n//2:n//2 + n//100] ^= np.uint64(1) << rng.integers(0, 64, n//100, np.uint64)
    before, start = peak(), time.perf_counter()
    found = close_pairs(hashes, distance)
    seconds = time.perf_counter() - start
    planted = np.stack([np.arange(n//100), np.arange(n//100) + n//2], 1)
    lost = {*map(tuple, planted.tolist())} - {*map(tuple, found.tolist())}
    print(distance, n, len(key_masks(n, distance)), round(seconds, 2), round(peak() - before, 1), len(found), len(lost), sep=',')

def main():
    if sys.argv[1:2] == ['one']: return one(*map(int, sys.argv[2:]))
    facts = environment(())
    with open(RESULTS, 'w', newline='') as f:
        writer = csv.writer(f, lineterminator='\n')
        writer.writerow('distance,hashes,keys,seconds,memory_mib,pairs,lost,processor'.split(','))
        for distance in (3, 8, 10): # the audit joins at 10
            for n in map(int, sys.argv[1:] or (10_000, 100_000, 1_000_000)):
                done = subprocess.run([sys.executable, __file__, 'one', str(n), str(distance)], capture_output=True, text=True, check=True)
                print(done.stdout.strip(), flush=True)
                writer.writerow([*done.stdout.strip().split(','), facts['processor']])

if __name__ == '__main__': main()
