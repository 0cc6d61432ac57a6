"""Feed forged bundles to a classifier; write results/fuzz_bundles.csv.

    python benchmarks/fuzz_bundles.py [--cases 5000] [--seed 0]

Three bundles are forged: the toy of `petpoo.classify.bundle`, a small exported convolutional network with weights in 16
bits, and the packaged classifier. Each forgery changes one to three things of one kind in the graph or the config, and
writes checksums that fit. The kinds are spread evenly. A quarter is asked by OpenVINO if it is installed.

The cases run in a process that is watched: if it dies, the case counts as a crash; if a case takes longer than a
minute, as a hang. The bundles are forged side by side, one on each core. Each graph that passes the check has its trial
in a process of its own, as everywhere; `trial_crashed` and `trial_slow` count what would have hit the program without
the trial. The exit code is 1 unless each case gives an answer or a `PetpooError` of one line."""
import argparse, copy, json, multiprocessing as mp, os, queue, resource, shutil, tempfile, time
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
OPS = '''Add And ArgMax AveragePool BatchNormalization Cast Clip Concat ConstantOfShape Conv ConvTranspose DepthToSpace
    DequantizeLinear Einsum Expand Flatten Gather GatherND Gemm GridSample GRU If LSTM LayerNormalization Loop LpPool
    MatMul MaxPool Mul NonZero OneHot Pad PRelu QuantizeLinear RandomNormal Range ReduceMean ReduceSum Reshape Resize
    Scan ScatterND Shape Slice Softmax SpaceToDepth Split Squeeze StringNormalizer Sum Tile TopK Transpose Trilu
    Unsqueeze Where Nonsense'''.split()
ATTRIBUTES = 'axis pads group kernel_shape strides dilations ceil_mode to keepdims auto_pad'.split()
MORE_ATTRIBUTES = 'axis axes perm kernel_shape to blocksize num_outputs pads keepdims'.split()
DTYPES = [np.float32, np.int64, np.int8, np.uint8, np.int16, np.int32, np.float16, np.bool_, np.float64]
ODD = [
    None, True, -1, 0, 1e308, 10**18, 0.5, '', 'x', 'x'*9999, '\x1b[2J', '\u202e', '\ud800', [], [[]]*9, {},
    dict(value='x'), dict(value=1e300, low=0, high=True), [0, 0], [1, 1, 1], float('nan'), float('inf'), 10**40]

def pick(rng, values): return values[int(rng.integers(len(values)))] if len(values) else None
def number(rng): return int(pick(rng, NUMBERS)) if rng.random() < 0.7 else int(rng.integers(-20, 300))
def names(graph):
    "Names that a node may read, and two that do not exist."
    outputs = [o for n in graph.node for o in n.output]
    return ['image', 'nowhere', '', *(o.name for o in graph.initializer), *outputs]

def replace_nodes(model, nodes):
    "Put copies of these nodes into a model."
    new = [onnx.NodeProto.FromString(o.SerializeToString()) for o in nodes]
    del model.graph.node[:]
    model.graph.node.extend(new)

# Each kind changes a model in place.
def operator(model, rng): pick(rng, model.graph.node).op_type = pick(rng, OPS)

def attribute(model, rng):
    node = pick(rng, [o for o in model.graph.node if o.attribute])
    old = pick(rng, node.attribute)
    match rng.integers(5):
        case 0 if len(old.ints): old.ints[int(rng.integers(len(old.ints)))] = number(rng)
        case 1: old.i = number(rng)
        case 2:
            name, value = pick(rng, ATTRIBUTES), pick(rng, [number(rng), [number(rng)]*4, 'SAME_UPPER', 0.5])
            node.attribute.append(helper.make_attribute(name, value))
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
    dtype = pick(rng, DTYPES)
    value = np.array(pick(rng, [number(rng), np.nan, 1e30, 0.5]))
    with np.errstate(all='ignore'): values = value.astype(dtype)
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
    replace_nodes(model, all_nodes)

def inserted(model, rng):
    "A node in the middle, which the next one reads."
    i = int(rng.integers(len(model.graph.node)))
    target = model.graph.node[i]
    op, first = pick(rng, OPS), target.input[0] if target.input else 'image'
    inputs = [first, *(pick(rng, names(model.graph)) for _ in range(rng.integers(0, 4)))]
    given = {} if rng.random() < 0.3 else some_attribute(rng)
    node = helper.make_node(op, inputs, ['inserted'], **given)
    target.input[:] = ['inserted', *target.input[1:]]
    replace_nodes(model, [*model.graph.node[:i], node, *model.graph.node[i:]])

def some_attribute(rng):
    name = pick(rng, MORE_ATTRIBUTES)
    return {name: pick(rng, [number(rng), [number(rng), number(rng)], 1, [1, 1]])}

def growing(n):
    "Ways to compute something large from `n` or from the photos."
    node = helper.make_node
    filled = node('ConstantOfShape', ['n'], ['b'])
    return [
        [filled],
        [filled, node('MatMul', ['b', 'b'], ['b2'])],
        [node('Shape', ['image'], ['s']), node('Mul', ['s', 's'], ['s2']), node('ConstantOfShape', ['s2'], ['b'])],
        [node('Shape', ['image'], ['s'], end=1), node('Mul', ['s', 'n'], ['s2']), node('Range', ['s2']*3, ['b'])],
        [node('Pad', ['image', 'n'], ['b'])],
        [node('Tile', ['image', 'n'], ['b'])],
        [node('AveragePool', ['image'], ['b'], kernel_shape=[n, n], pads=[n - 1]*4)],
        [node('MaxPool', ['image'], ['b'], kernel_shape=[1, 1], pads=[n]*4)]]

def bomb(model, rng):
    "Shapes that grow: with constants, or with the number of photos."
    n, node = int(rng.integers(2, 2**int(rng.integers(3, 17)))), helper.make_node
    model.graph.initializer.append(numpy_helper.from_array(np.array([n, n]), 'n'))
    extra = pick(rng, growing(n))
    use = [
        node('ReduceMax', [extra[-1].output[0]], ['top'], keepdims=0),
        node('Sub', ['top', 'top'], ['zero']),
        node('Add', ['image', 'zero'], ['image2'])]
    for o in model.graph.node: o.input[:] = ['image2' if i == 'image' else i for i in o.input]
    replace_nodes(model, [*extra, *use, *model.graph.node])

def interface(model, rng):
    value = pick(rng, [*model.graph.input, *model.graph.output, *model.graph.value_info])
    shape = value.type.tensor_type.shape
    match rng.integers(5):
        case 0: value.name = pick(rng, names(model.graph))
        case 1: value.type.tensor_type.elem_type = int(rng.integers(0, 24))
        case 2 if len(shape.dim): pick(rng, shape.dim).dim_value = number(rng)
        case 3: shape.dim.add(dim_value=number(rng))
        case _:
            name, kind = pick(rng, names(model.graph)), int(rng.integers(1, 17))
            sizes = [number(rng)]*int(rng.integers(5))
            model.graph.value_info.append(helper.make_tensor_value_info(name, kind, sizes))

def versions(model, rng):
    match rng.integers(3):
        case 0: model.ir_version = number(rng)
        case 1: model.opset_import[0].version = number(rng) if rng.random() < 0.5 else int(rng.integers(7, 26))
        case _:
            domain = pick(rng, ['', 'ai.onnx', 'com.microsoft', 'x'])
            model.opset_import.add(domain=domain, version=int(rng.integers(0, 20)))

def outside(tensor, location):
    "Let a tensor have its data in a file."
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key='location', value=location)
    tensor.ClearField('raw_data')

def branches():
    "A node with graphs of its own."
    empty = helper.make_graph([], 'g', [], [])
    return helper.make_node('If', ['image'], ['y'], then_branch=empty, else_branch=empty)

def foreign(model, rng):
    "Parts of ONNX that no export has."
    graph, tensor = model.graph, pick(rng, model.graph.initializer)
    match rng.integers(7):
        case 0: model.functions.add(name='f', domain='x')
        case 1: model.training_info.add()
        case 2: graph.sparse_initializer.add().dims.append(9)
        case 3: outside(tensor, pick(rng, ['/etc/passwd', '../x', 'model.onnx']))
        case 4: pick(rng, graph.node).domain = pick(rng, ['com.microsoft', 'ai.onnx.ml', 'x'])
        case 5: graph.node.append(branches())
        case _:
            tensor.string_data.append(b'x')
            tensor.data_type = TensorProto.STRING

MODEL_KINDS = [
    operator, attribute, dims, data_type, data, tensor, constants, edge, nodes, inserted, bomb, interface, versions,
    foreign]

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
    place[key] = copy.deepcopy(pick(rng, ODD))

def forge_graph(file, kind, rng):
    "Change a graph one to three times."
    model, change = onnx.load(file, load_external_data=False), next(o for o in MODEL_KINDS if o.__name__ == kind)
    for _ in range(rng.integers(1, 4)):
        try: change(model, rng)
        except (ValueError, AttributeError, TypeError, IndexError): pass # protobuf refuses it, or nothing is left
    file.write_bytes(model.SerializeToString())

def forge(folder, kind, rng):
    "Change a bundle in place, and its checksums so that they fit."
    graph, file = folder/'model.onnx', folder/'config.json'
    config = json.loads(file.read_text())
    if kind == 'bytes': graph.write_bytes(some_bytes(graph.read_bytes(), rng))
    elif kind != 'config': forge_graph(graph, kind, rng)
    config['files']['model.onnx'] = dict(sha256=sha256(graph), bytes=graph.stat().st_size)
    if kind == 'config':
        for _ in range(rng.integers(1, 3)): odd_value(config, rng)
    file.write_text(json.dumps(config))

KINDS = [*(o.__name__ for o in MODEL_KINDS), 'bytes', 'config']

def small_network(folder):
    "A bundle of convolutions with random weights, as the exporter writes it."
    import torch
    from torch import nn
    from petpoo.classify.learner_network import to_onnx
    from petpoo.classify.onnx_graph import halve_weights
    torch.manual_seed(0)
    layers = [
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.ReLU6(), nn.MaxPool2d(2),
        nn.Conv2d(8, 8, 3, 1, 1, groups=8), nn.Hardswish(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.LayerNorm(8)]
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
    "What the words of an error mean."
    if 'crashes on it' in message: return 'trial_crashed'
    if 'needs more than' in message: return 'trial_slow'
    return 'refused'

def ask(folder, engine):
    "How asking a forged bundle ends, and what is wrong with that, or None."
    try: Classifier(folder, threads=1, engine=engine).predict(Image.new('RGB', (9, 9)))
    except PetpooError as e:
        return outcome(str(e)), None if str(e).isprintable() else f'not one printable line: {e!r}'
    except BaseException as e: return 'other_exception', repr(e)[:300]
    return 'answered', None

def case(i, seed, bundle, folder, counts):
    "Forge one bundle and ask it for an answer; returns what is wrong, or None."
    rng, kind = np.random.default_rng([seed, i]), KINDS[i % len(KINDS)]
    forged = folder/f'forged-{bundle}'
    shutil.rmtree(forged, ignore_errors=True)
    shutil.copytree(folder/bundle, forged)
    forge(forged, kind, rng)
    engine = 'openvino' if i//len(KINDS) % 4 == 0 and HAS_OPENVINO else 'onnxruntime'
    began = time.time()
    how, wrong = ask(forged, engine)
    counts[kind, how] += 1
    counts[kind, 'slowest_ms'] = max(counts[kind, 'slowest_ms'], round(1000*(time.time() - began)))
    return wrong

OPENVINO = environment(('openvino',)).get('openvino', '')
HAS_OPENVINO = bool(OPENVINO)

def peak(who): return resource.getrusage(who).ru_maxrss >> 10

def work(first, last, seed, bundle, folder, at, results):
    "Run cases; `at` holds the one that is running and when it began."
    counts, wrong = Counter(), []
    for i in range(first, last):
        at[0], at[1] = i, time.time()
        if found := case(i, seed, bundle, folder, counts): wrong.append((bundle, i, found))
    results.put((counts, wrong, peak(resource.RUSAGE_SELF), peak(resource.RUSAGE_CHILDREN)))

def run(first, last, seed, bundle, folder):
    "What `work` returns in a process of its own, or None; the exit code; the case that ran last."
    at, results, found = mp.Array('d', 2), mp.Queue(), None
    at[0], at[1] = first, time.time()
    p = mp.Process(target=work, args=(first, last, seed, bundle, folder, at, results))
    p.start()
    while found is None and (p.is_alive() or not results.empty()):
        try: found = results.get(timeout=0.5)
        except queue.Empty:
            if time.time() - at[1] > SECONDS: p.kill()
    p.join(5)
    return found, p.exitcode, int(at[0])

class Total:
    "Counts and peaks of all cases of a bundle."
    def __init__(self): self.counts, self.wrong, self.mib, self.trial_mib = Counter(), [], 0, 0

    def add(self, counts, wrong, mib, trial_mib):
        for key, n in counts.items():
            self.counts[key] = max(self.counts[key], n) if key[1] == 'slowest_ms' else self.counts[key] + n
        self.wrong += wrong
        self.mib, self.trial_mib = max(self.mib, mib), max(self.trial_mib, trial_mib)

    def add_lost(self, bundle, first, i, code):
        "A process died with case `i`; the cases since `first` had answers, which are lost."
        how, kind = 'hung' if code == -9 else 'crashed', KINDS[i % len(KINDS)]
        self.counts[kind, how] += 1
        self.counts[kind, 'lost'] += i - first
        self.wrong.append((bundle, i, f'{how}, exit code {code}'))

def watched(n, seed, bundle, folder, step=100):
    "All cases of a bundle, `step` in a process; a process that dies or hangs is replaced after the case that did it."
    total, first, began = Total(), 0, time.perf_counter()
    while first < n:
        last = min(first + step, n)
        found, code, i = run(first, last, seed, bundle, folder)
        if found is None:
            total.add_lost(bundle, first, i, code)
            first = i + 1
            continue
        total.add(*found)
        first = last
        print(f'{bundle}: {first:,} of {n:,}, {len(total.wrong)} wrong', flush=True)
    total.seconds = round(time.perf_counter() - began)
    return total

HOWS = 'answered refused trial_crashed trial_slow lost other_exception crashed hung slowest_ms'.split()

def rows_of(bundle, n, total, seed):
    "A row for each kind of forgery."
    for j, kind in enumerate(KINDS):
        counts = {o: total.counts[kind, o] for o in HOWS}
        yield dict(
            bundle=bundle, kind=kind, cases=len(range(j, n, len(KINDS))), **counts, bundle_seconds=total.seconds,
            max_mib=total.mib, max_trial_mib=total.trial_mib, seed=seed, **environment(), openvino=OPENVINO)

def show(bundle, n, total):
    "Print the sums of a bundle, and what went wrong."
    sums = {o: sum(total.counts[kind, o] for kind in KINDS) for o in HOWS[:-1]}
    slowest = max(total.counts[kind, 'slowest_ms'] for kind in KINDS)
    print(
        bundle, n, total.seconds, sums, slowest, total.mib, total.trial_mib, *total.wrong[:20],
        sep='\n  ', flush=True)

def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('--cases', type=int, default=5000, help='of all bundles together (default: %(default)s)')
    p.add_argument('--seed', type=int, default=0)
    return p.parse_args()

def forge_all(cases, seed):
    "Bundle -> what became of its cases."
    with tempfile.TemporaryDirectory() as tmp:
        os.environ['PETPOO_CACHE'] = f'{tmp}/cache'
        mp.set_start_method('forkserver') # workers without the exporter's memory
        make_bundles(Path(tmp))
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            jobs = {o: pool.submit(watched, n, seed, o, Path(tmp)) for o, n in cases.items()}
        return {o: job.result() for o, job in jobs.items()}

def main():
    args, rows = arguments(), []
    cases = {bundle: round(args.cases*share) for bundle, share in SHARES.items()}
    found = forge_all(cases, args.seed)
    for bundle, total in found.items():
        rows += rows_of(bundle, cases[bundle], total, args.seed)
        show(bundle, cases[bundle], total)
    with atomic_path(OUT) as path: pd.DataFrame(rows).to_csv(path, index=False)
    return any(o.wrong for o in found.values())

if __name__ == '__main__': raise SystemExit(main())
