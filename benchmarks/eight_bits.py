"""Quantise the frozen body to 8 bits in several ways; write results/eight_bits.csv.

    python benchmarks/eight_bits.py path/to/oxford-iiit-pet [--ways float plain percentile mixed] [--calibrate 128]

Static quantisation by ONNX Runtime (QDQ, per channel, weights of 7 bits, since processors without VNNI add pairs of
products in 16 bits and saturate), calibrated on seeded photographs:

- float: 32 bits, the reference
- plain: every convolution, the range of an activation from its smallest to its largest value
- percentile: ranges that hold 99.99% of the values
- mixed: plain, but the first convolution and all depthwise ones stay in 32 bits

Each row: the accuracy of a linear probe in five folds, fitted to the features of the quantised body and asked on them;
how many photographs only one of it and of the reference has right; milliseconds a photo with both engines, one thread,
all ways in turn; the size of the file. Choices were made on these photographs, so the figures say what quantisation
costs, not how good a classifier is."""
import argparse, logging, statistics, tempfile, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np
import onnx
import pandas as pd
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, quantize_static
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from threadpoolctl import threadpool_limits
from peers import instructions
from petpoo.classify.runtime import ENGINES
from petpoo.core import environment
from petpoo.limits import cores
from petpoo.data.layouts import read_table
from petpoo.image import load_image, to_input
from petpoo.train.bodies import body_graph
from petpoo.train.models import make_body

ARCH, SIZE, SEED = 'tf_efficientnet_lite2', (260, 260), 0
OUT = Path(__file__).parent.parent/'results'/'eight_bits.csv'

class Photos(CalibrationDataReader):
    "Inputs of the network, one at a time."
    def __init__(self, inputs): self.inputs = iter(inputs)
    def get_next(self): return next(({'image': o} for o in self.inputs), None)

def depthwise_and_first(graph):
    "Names of the first convolution and of those with groups."
    convolutions = [o for o in graph.node if o.op_type == 'Conv']
    return [convolutions[0].name, *(o.name for o in convolutions if any(a.name == 'group' and a.i > 1 for a in o.attribute))]

WAYS = dict(
    plain=lambda graph: {},
    percentile=lambda graph: dict(calibrate_method=CalibrationMethod.Percentile, extra_options=dict(CalibPercentile=99.99)),
    mixed=lambda graph: dict(nodes_to_exclude=depthwise_and_first(graph)))

def quantise(source, to, way, inputs):
    "Write the quantised graph."
    options = WAYS[way](onnx.load(source).graph)
    quantize_static(str(source), str(to), Photos(inputs), quant_format=QuantFormat.QDQ, op_types_to_quantize=['Conv'],
                    per_channel=True, reduce_range=True, **options)

def features(file, pixels, mean, std):
    "Those of all photographs, with OpenVINO, one photo a core."
    engine = ENGINES['openvino'](file, cores(), cores())
    with ThreadPoolExecutor(cores()) as pool:
        return np.stack([*pool.map(lambda o: engine(to_input(o, mean, std)[None])[0][0], pixels)])

def probe(x, labels):
    "Which photographs a linear probe has right in five folds."
    right = np.zeros(len(x), bool)
    def fold(rows):
        train, held = rows
        mean, std = x[train].mean(0), x[train].std(0) + 1e-3
        model = LogisticRegression(C=18/len(train), max_iter=200, tol=1e-3).fit((x[train] - mean)/std, labels[train])
        return held, model.predict((x[held] - mean)/std) == labels[held]
    folds = StratifiedKFold(5, shuffle=True, random_state=SEED).split(x, labels)
    with threadpool_limits(1), ThreadPoolExecutor(cores()) as pool:
        for held, found in pool.map(fold, folds): right[held] = found
    return right

def milliseconds(files, rounds=30):
    "(way, engine) -> median of one photo, one thread, all in turn."
    engines = {(way, name): make(file, 1, 1) for way, file in files.items() for name, make in ENGINES.items()}
    x, times = np.random.default_rng(SEED).random((1, 3, *SIZE), np.float32), {o: [] for o in engines}
    for _ in range(rounds):
        for key, engine in engines.items():
            began = time.perf_counter()
            engine(x)
            times[key].append(time.perf_counter() - began)
    return {k: 1000*statistics.median(v) for k, v in times.items()}

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('data')
    p.add_argument('--ways', nargs='+', choices=WAYS, default=[*WAYS])
    p.add_argument('--calibrate', type=int, default=128, help='photographs (default: %(default)s)')
    return p.parse_args()

def main():
    args = arguments()
    logging.disable(logging.WARNING)
    table, (network, mean, std) = read_table(args.data), make_body(ARCH)
    with ThreadPoolExecutor(cores()) as pool:
        pixels = [*pool.map(lambda o: np.asarray(load_image(o, SIZE)), table.path)]
    some = np.random.default_rng(SEED).permutation(len(pixels))[:args.calibrate]
    rows, right, files = [], {}, dict(float=body_graph(network, SIZE))
    with tempfile.TemporaryDirectory() as tmp:
        for way in args.ways:
            files[way] = Path(tmp)/f'{way}.onnx'
            quantise(files['float'], files[way], way, (to_input(pixels[i], mean, std)[None] for i in some))
        times = milliseconds(files)
        for way, file in files.items():
            right[way] = probe(features(file, pixels, mean, std), table.label.to_numpy())
            lost, won = (right['float'] & ~right[way]).sum(), (right[way] & ~right['float']).sum()
            rows.append(dict(way=way, images=len(pixels), calibrated_on=0 if way == 'float' else args.calibrate,
                             accuracy=right[way].mean(), only_float_right=lost, only_this_right=won,
                             openvino_ms=times[way, 'openvino'], onnxruntime_ms=times[way, 'onnxruntime'],
                             megabytes=file.stat().st_size/2**20, seed=SEED, instructions=instructions(), **environment()))
            print({k: v for k, v in rows[-1].items() if k not in environment()}, flush=True)
            pd.DataFrame(rows).to_csv(OUT, index=False, float_format='%.5g')

if __name__ == '__main__': main()
