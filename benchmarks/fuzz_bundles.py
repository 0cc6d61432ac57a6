"""Feed forged bundles to a classifier; write results/fuzz_bundles.csv. Exit code 1 unless each one gives an answer or a `PetpooError` of one line.

    python benchmarks/fuzz_bundles.py [--cases 5000] [--seed 0]

Three bundles are forged: the toy of `petpoo.classify.bundle`, a small exported convolutional network with weights in 16 bits, and the packaged classifier. Each forgery changes one to three things of one kind in the
graph or the config and writes checksums that fit. The kinds are spread evenly. A quarter is asked by OpenVINO where it is installed. The cases run in a process that is watched: one that dies counts as a
crash, one that takes longer than a minute as a hang. The bundles are forged side by side, one on each core. Each graph that passes the check has its trial in a process of its own, as everywhere; `trial_crashed` and `trial_slow` count what would have hit the
program without the trial."""
import argparse, json, multiprocessing as mp, os, resource, shutil, tempfile, time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import numpy as np, onnx, pandas as pd
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
import petpoo
from petpoo.classify.bundle import write_config
from petpoo.sample.toys import toy_bundle
from petpoo.core import PetpooError, atomic_path, environment, sha256
from petpoo.classify.inference import Classifier

OUT = Path(__file__).parent.parent/'results'/'fuzz_bundles.csv'
SHARES = dict(toy=0.45, convolutions=0.5, packaged=0.05) # bundle -> share of the cases
SECONDS = 60 # for one case
NUMBERS = [0, 1, -1, 2, 3, 7, 255, 4096, 65536, 65537, 2**31 - 1, -2**31, 2**40, 2**63 - 1, -2**63]
OPS = '''Add And ArgMax AveragePool BatchNormalization Cast Clip Concat ConstantOfShape Conv ConvTranspose DepthToSpace DequantizeLinear Einsum Expand Flatten Gather GatherND Gemm GridSample GRU
    If LSTM LayerNormalization Loop LpPool MatMul MaxPool Mul NonZero OneHot Pad PRelu QuantizeLinear RandomNormal Range ReduceMean ReduceSum Reshape Resize Scan ScatterND Shape Slice Softmax SpaceToDepth Split
    Squeeze StringNormalizer Sum Tile TopK Transpose Trilu Unsqueeze Where Nonsense'''.split()

def pick(rng, values): return values[int(rng.integers(len(values)))] if len(values) else None
def number(rng): return int(pick(rng, NUMBERS)) if rng.random() < 0.7 else int(rng.integers(-20, 300))
def names(graph): return ['image', 'nowhere', '', *(o.name for o in graph.initializer), *(o for n in graph.node for o in n.output)]

# Each kind changes a model in place.
def operator(model, rng): pick(rng, model.graph.node).op_type = pick(rng, OPS)

def attribute(model, rng):
    node = pick(rng, [o for o in model.graph.node if o.attribute])
    old = pick(rng, node.attribute)
    match rng.integers(5):
        case 0 if len(old.ints): old.ints[int(rng.integers(len(old.ints)))] = number(rng)
        case 1: old.i = number(rng)
        case 2: node.attribute.append(helper.make_attribute(pick(rng, ['axis', 'pads', 'group', 'kernel_shape', 'strides', 'dilations', 'ceil_mode', 'to', 'keepdims', 'auto_pad']), pick(rng, [number(rng), [number(rng)]*4, 'SAME_UPPER', 0.5])))
        case 3: node.attribute.remove(old)
        case _: old.type = int(rng.integers(0, 15))

def dims(model, rng):
    dims = pick(rng, [o for o in model.graph.initializer if o.dims]).dims
    match rng.integers(4):
        case 0: dims[int(rng.integers(len(dims)))] = number(rng)
        case 1: dims.append(number(rng))
        case 2: dims[:] = rng.permutation(list(dims)).tolist()
        case _: dims[:] = [int(np.prod(list(dims), dtype=np.int64))]

def data_type(model, rng): pick(rng, model.graph.initializer).data_type = int(rng.integers(0, 24))

def data(model, rng):
    tensor = pick(rng, model.graph.initializer)
    raw = tensor.raw_data
    match rng.integers(4):
        case 0: tensor.raw_data = raw[:int(rng.integers(len(raw) + 1))]
        case 1: tensor.raw_data = raw + rng.bytes(int(rng.integers(1, 99)))
        case 2: tensor.raw_data = rng.bytes(len(raw))
        case _: tensor.float_data.extend([1, np.nan, np.inf])

def tensor(model, rng):
    "Another tensor in its place, which agrees with itself."
    old = pick(rng, model.graph.initializer)
    shape = [int(rng.integers(0, 9)) for _ in range(rng.integers(0, 6))] if rng.random() < 0.5 else list(old.dims)
    dtype = pick(rng, [np.float32, np.int64, np.int8, np.uint8, np.int16, np.int32, np.float16, np.bool_, np.float64])
    with np.errstate(all='ignore'): values = np.array(pick(rng, [number(rng), np.nan, 1e30, 0.5])).astype(dtype)
    old.CopyFrom(numpy_helper.from_array(np.full(shape, values), old.name))

def constants(model, rng):
    "The whole numbers that steer shapes."
    tensor = pick(rng, [o for o in model.graph.initializer if o.data_type == TensorProto.INT64])
    if tensor is None: return edge(model, rng)
    values = numpy_helper.to_array(tensor).copy().reshape(-1)
    if len(values): values[int(rng.integers(len(values)))] = number(rng)
    tensor.CopyFrom(numpy_helper.from_array(values.reshape(list(tensor.dims)), tensor.name))

def edge(model, rng):
    node = pick(rng, model.graph.node)
    side = pick(rng, [node.input, node.input, node.output])
    if len(side): side[int(rng.integers(len(side)))] = pick(rng, names(model.graph))
    else: side.append(pick(rng, names(model.graph)))

def nodes(model, rng):
    all_nodes = list(model.graph.node)
    i, j = (int(o) for o in rng.integers(len(all_nodes), size=2))
    match rng.integers(4):
        case 0: del all_nodes[i]
        case 1: all_nodes.insert(j, all_nodes[i])
        case 2: all_nodes[i], all_nodes[j] = all_nodes[j], all_nodes[i]
        case _: all_nodes = all_nodes[:i] + all_nodes[i + 1:j]
    new = [onnx.NodeProto.FromString(o.SerializeToString()) for o in all_nodes]
    del model.graph.node[:]
    model.graph.node.extend(new)

def inserted(model, rng):
    "A node in the middle, which the next one reads."
    i = int(rng.integers(len(model.graph.node)))
    target = model.graph.node[i]
    op, inputs = pick(rng, OPS), [o for o in [target.input[0] if target.input else 'image', *(pick(rng, names(model.graph)) for _ in range(rng.integers(0, 4)))]]
    given = {} if rng.random() < 0.3 else {pick(rng, ['axis', 'axes', 'perm', 'kernel_shape', 'to', 'blocksize', 'num_outputs', 'pads', 'keepdims']): pick(rng, [number(rng), [number(rng), number(rng)], 1, [1, 1]])}
    node = helper.make_node(op, inputs, ['inserted'], **given)
    target.input[:] = ['inserted', *target.input[1:]]
    old = [onnx.NodeProto.FromString(o.SerializeToString()) for o in model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend([*old[:i], node, *old[i:]])

def bomb(model, rng):
    "Shapes that grow: with constants, or with the number of photos."
    n, node = int(rng.integers(2, 2**int(rng.integers(3, 17)))), helper.make_node
    model.graph.initializer.append(numpy_helper.from_array(np.array([n, n]), 'n'))
    extra = pick(rng, [[node('ConstantOfShape', ['n'], ['b'])], [node('ConstantOfShape', ['n'], ['b']), node('MatMul', ['b', 'b'], ['b2'])],
        [node('Shape', ['image'], ['s']), node('Mul', ['s', 's'], ['s2']), node('ConstantOfShape', ['s2'], ['b'])],
        [node('Shape', ['image'], ['s'], end=1), node('Mul', ['s', 'n'], ['s2']), node('Range', ['s2', 's2', 's2'], ['b'])], [node('Pad', ['image', 'n'], ['b'])], [node('Tile', ['image', 'n'], ['b'])],
        [node('AveragePool', ['image'], ['b'], kernel_shape=[n, n], pads=[n - 1]*4)], [node('MaxPool', ['image'], ['b'], kernel_shape=[1, 1], pads=[n]*4)]])
    last = extra[-1].output[0]
    use = [node('ReduceMax', [last], ['top'], keepdims=0), node('Sub', ['top', 'top'], ['zero']), node('Add', ['image', 'zero'], ['image2'])]
    old = [onnx.NodeProto.FromString(o.SerializeToString()) for o in model.graph.node]
    for o in old: o.input[:] = ['image2' if i == 'image' else i for i in o.input]
    del model.graph.node[:]
    model.graph.node.extend([*extra, *use, *old])

def interface(model, rng):
    value = pick(rng, [*model.graph.input, *model.graph.output, *model.graph.value_info])
    match rng.integers(5):
        case 0: value.name = pick(rng, names(model.graph))
        case 1: value.type.tensor_type.elem_type = int(rng.integers(0, 24))
        case 2 if len(value.type.tensor_type.shape.dim): pick(rng, value.type.tensor_type.shape.dim).dim_value = number(rng)
        case 3: value.type.tensor_type.shape.dim.add(dim_value=number(rng))
        case _: model.graph.value_info.append(helper.make_tensor_value_info(pick(rng, names(model.graph)), int(rng.integers(1, 17)), [number(rng)]*int(rng.integers(5))))

def versions(model, rng):
    match rng.integers(3):
        case 0: model.ir_version = number(rng)
        case 1: model.opset_import[0].version = number(rng) if rng.random() < 0.5 else int(rng.integers(7, 26))
        case _: model.opset_import.add(domain=pick(rng, ['', 'ai.onnx', 'com.microsoft', 'x']), version=int(rng.integers(0, 20)))

def foreign(model, rng):
    "Parts of ONNX that no export has."
    graph, tensor = model.graph, pick(rng, model.graph.initializer)
    match rng.integers(7):
        case 0: model.functions.add(name='f', domain='x')
        case 1: model.training_info.add()
        case 2: graph.sparse_initializer.add().dims.append(9)
        case 3: tensor.data_location = 1; tensor.external_data.add(key='location', value=pick(rng, ['/etc/passwd', '../x', 'model.onnx'])); tensor.ClearField('raw_data')
        case 4: pick(rng, graph.node).domain = pick(rng, ['com.microsoft', 'ai.onnx.ml', 'x'])
        case 5: graph.node.append(helper.make_node('If', ['image'], ['y'], then_branch=helper.make_graph([], 'g', [], []), else_branch=helper.make_graph([], 'g', [], [])))
        case _: tensor.string_data.append(b'x'); tensor.data_type = TensorProto.STRING

MODEL_KINDS = [operator, attribute, dims, data_type, data, tensor, constants, edge, nodes, inserted, bomb, interface, versions, foreign]

def some_bytes(raw, rng):
    "Bytes changed, cut, repeated, removed."
    raw = bytearray(raw)
    for _ in range(rng.integers(1, 4)):
        a, b = sorted(int(o) for o in rng.integers(0, len(raw), 2))
        match rng.integers(5):
            case 0: raw[a] ^= 1 << int(rng.integers(8))
            case 1: raw[a:a + 4] = rng.bytes(4)
            case 2: del raw[a:a + int(rng.integers(1, 40))]
            case 3: raw[a:a] = raw[b:b + 40]
            case _: raw[a] = int(rng.integers(256))
    return bytes(raw)

def odd_value(config, rng):
    "One value of the config, at any depth, is another."
    place = config
    while True:
        key = pick(rng, list(place) if isinstance(place, dict) else list(range(len(place))))
        if not isinstance(place[key], (dict, list)) or not place[key] or rng.random() < 0.4: break
        place = place[key]
    odd = [None, True, -1, 0, 1e308, 10**18, 0.5, '', 'x', 'x'*9999, '\x1b[2J', '\u202e', '\ud800', [], [[]]*9, {}, dict(value='x'), dict(value=1e300, low=0, high=True), [0, 0], [1, 1, 1], float('nan'), float('inf'), 10**40]
    place[key] = pick(rng, odd)

def forge(folder, kind, rng):
    "Change a bundle in place, and its checksums so that they fit."
    graph, file = folder/'model.onnx', folder/'config.json'
    config = json.loads(file.read_text())
    if kind == 'bytes': graph.write_bytes(some_bytes(graph.read_bytes(), rng))
    elif kind != 'config':
        model, change = onnx.load(graph, load_external_data=False), next(o for o in MODEL_KINDS if o.__name__ == kind)
        for _ in range(rng.integers(1, 4)):
            try: change(model, rng)
            except (ValueError, AttributeError, TypeError, IndexError): pass # protobuf refuses the value, or nothing is left to change
        graph.write_bytes(model.SerializeToString())
    config['files']['model.onnx'] = dict(sha256=sha256(graph), bytes=graph.stat().st_size)
    if kind == 'config':
        for _ in range(rng.integers(1, 3)): odd_value(config, rng)
    file.write_text(json.dumps(config))

KINDS = [*(o.__name__ for o in MODEL_KINDS), 'bytes', 'config']

def small_network(folder):
    "A bundle of convolutions with random weights, as the exporter writes it."
    import torch
    from torch import nn
    from petpoo.classify.onnx_graph import halve_weights, to_onnx
    torch.manual_seed(0)
    layers = [nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(8)]
    toy_bundle(folder)
    config = json.loads((folder/'config.json').read_text())
    to_onnx(nn.Sequential(nn.Sequential(*layers), nn.Linear(8, 4)), (32, 32), folder/'model.onnx')
    halve_weights(folder/'model.onnx')
    write_config(folder, config | dict(abstention=dict(score='free energy', threshold=0, min_confidence=0.5)))

def make_bundles(folder):
    toy_bundle(folder/'toy', abstention=dict(score='brightness', threshold=0, min_confidence=0.5))
    small_network(folder/'convolutions')
    shutil.copytree(Path(petpoo.__file__).parent/'model', folder/'packaged')

def outcome(message):
    if 'crashes on it' in message: return 'trial_crashed'
    if 'needs more than' in message: return 'trial_slow'
    return 'refused'

def case(i, seed, bundle, folder, counts):
    "Forge one bundle, and ask it for an answer."
    rng, kind = np.random.default_rng([seed, i]), KINDS[i % len(KINDS)]
    forged = folder/f'forged-{bundle}'
    shutil.rmtree(forged, ignore_errors=True)
    shutil.copytree(folder/bundle, forged)
    forge(forged, kind, rng)
    engine = 'openvino' if i//len(KINDS) % 4 == 0 and ENGINES > 1 else 'onnxruntime'
    began = time.time()
    try: Classifier(forged, threads=1, engine=engine).predict(Image.new('RGB', (9, 9))); how, wrong = 'answered', None
    except PetpooError as e: how, wrong = outcome(str(e)), None if str(e).isprintable() else f'not one printable line: {e!r}'
    except BaseException as e: how, wrong = 'other_exception', repr(e)[:300]
    counts[kind, how] += 1
    counts[kind, 'slowest_ms'] = max(counts[kind, 'slowest_ms'], round(1000*(time.time() - began)))
    return wrong

ENGINES = 1 + bool('openvino' in environment(('openvino',)))

def work(first, last, seed, bundle, folder, at, results):
    "Run cases; `at` holds the one that is running and when it began."
    counts, wrong = Counter(), []
    for i in range(first, last):
        at[0], at[1] = i, time.time()
        if found := case(i, seed, bundle, folder, counts): wrong.append((bundle, i, found))
    results.put((counts, wrong, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss >> 10))

def watched(n, seed, bundle, folder, step=100):
    "All cases of a bundle, `step` in a process; one that dies or hangs is replaced, behind the case that did it."
    total, wrong, first, mib, trial_mib = Counter(), [], 0, 0, 0
    while first < n:
        at, results, last = mp.Array('d', 2), mp.Queue(), min(first + step, n)
        at[0], at[1], found = first, time.time(), None
        p = mp.Process(target=work, args=(first, last, seed, bundle, folder, at, results))
        p.start()
        while found is None and (p.is_alive() or not results.empty()):
            try: found = results.get(timeout=0.5)
            except Exception:
                if time.time() - at[1] > SECONDS: p.kill()
        p.join(5)
        if found is None:
            i = int(at[0])
            how = 'hung' if p.exitcode == -9 else 'crashed'
            total[KINDS[i % len(KINDS)], how] += 1
            total[KINDS[i % len(KINDS)], 'lost'] += i - first # answered before it in this process, not counted
            wrong.append((bundle, i, f'{how}, exit code {p.exitcode}')); first = i + 1
            continue
        for (kind, what), v in found[0].items(): total[kind, what] = max(total[kind, what], v) if what == 'slowest_ms' else total[kind, what] + v
        wrong += found[1]; mib, trial_mib, first = max(mib, found[2]), max(trial_mib, found[3]), last
        print(f'{bundle}: {first:,} of {n:,}, {len(wrong)} wrong', flush=True)
    return total, wrong, mib, trial_mib

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--cases', type=int, default=5000); p.add_argument('--seed', type=int, default=0)
    args = p.parse_args()
    rows, bad, hows = [], [], ['answered', 'refused', 'trial_crashed', 'trial_slow', 'lost', 'other_exception', 'crashed', 'hung', 'slowest_ms']
    with tempfile.TemporaryDirectory() as tmp:
        os.environ['PETPOO_CACHE'] = f'{tmp}/cache'
        mp.set_start_method('forkserver') # workers without the exporter's memory
        make_bundles(Path(tmp))
        def run(bundle):
            began = time.perf_counter()
            return *watched(round(args.cases*SHARES[bundle]), args.seed, bundle, Path(tmp)), round(time.perf_counter() - began)
        with ThreadPoolExecutor(os.cpu_count()) as pool: found = list(pool.map(run, SHARES))
        for bundle, (total, wrong, mib, trial_mib, seconds) in zip(SHARES, found):
            n = round(args.cases*SHARES[bundle])
            for j, kind in enumerate(KINDS):
                rows.append(dict(bundle=bundle, kind=kind, cases=len(range(j, n, len(KINDS))), **{o: total[kind, o] for o in hows}, bundle_seconds=seconds, max_mib=mib, max_trial_mib=trial_mib,
                    seed=args.seed, **environment(), openvino=environment(('openvino',)).get('openvino', '')))
            bad += wrong
            print(bundle, n, seconds, {o: sum(total[k, o] for k in KINDS) for o in hows[:-1]}, max(total[k, 'slowest_ms'] for k in KINDS), mib, trial_mib, *wrong[:20], sep='\n  ', flush=True)
    with atomic_path(OUT) as out: pd.DataFrame(rows).to_csv(out, index=False)
    return bool(bad)

if __name__ == '__main__': raise SystemExit(main())
