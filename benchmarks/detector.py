"""Translate a detector of cats and dogs from TFLite to ONNX; write petpoo/detector/model.onnx.

    npm pack @mediapipe/objectron@0.4.1675468480
    pip install tflite
    python benchmarks/detector.py mediapipe-objectron-0.4.1675468480.tgz

The network is MediaPipe's SSD with a MobileNetV2 body, trained on Open Images (Apache-2.0). Of its 24 classes, Cat and
Dog remain. The weights are stored as a static page stores those of a classifier (`petpoo.classify.web`). With
`--check PHOTOS`, the graph in 32 bits is compared with the TFLite interpreter (`pip install ai-edge-litert`) on a
folder of photographs, and the one that is written with the one in 32 bits."""
import argparse, gzip, hashlib, json, re, tarfile, tempfile
from pathlib import Path
import numpy as np, onnx, tflite
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from petpoo.classify.animals import INPUT_SIDE, FOUND
from petpoo.classify.onnx_graph import halve_weights
from petpoo.classify.runtime import OnnxRuntime
from petpoo.classify.web import fewer_bits
from petpoo.core import PetpooError, atomic_path

OUT = Path(__file__).parent.parent/'petpoo'/'detector'/'model.onnx'
NAME = 'object_detection_ssd_mobilenetv2_oidv4_fp16.tflite'
SHA256 = 'd0a5255bf8c4f5a0bc4240741a76c41d5e939f7655078f945f50ab53a9375da6' # of the TFLite file, as MediaPipe pins it
LABELS = dict(cat='Cat', dog='Dog') # species -> the name of its class
TYPES = {getattr(tflite.TensorType, k): getattr(np, k.lower()) for k in ('FLOAT32', 'FLOAT16', 'INT32')}

# --- the package ---

def assets(package):
    "File name -> content, for the files that the package holds in one."
    base = 'package/objectron_solution_packed_assets'
    with tarfile.open(package) as tar:
        loader = tar.extractfile(f'{base}_loader.js').read().decode()
        data = tar.extractfile(f'{base}.data').read()
    files = json.loads(re.search(r'"files": (\[[^\]]*\])', loader)[1])
    return {Path(o['filename']).name: data[o['start']:o['end']] for o in files}

def network(package):
    "The TFLite file, and the numbers of the classes that remain."
    found = assets(package)
    if hashlib.sha256(found[NAME]).hexdigest() != SHA256: raise PetpooError(f'{package} holds another {NAME}')
    names = found['object_detection_oidv4_labelmap.txt'].decode().splitlines()
    return found[NAME], [names.index(LABELS[o]) for o in FOUND]

# --- the translation ---

def options(op, kind):
    "The options of an operator."
    found, table = kind(), op.BuiltinOptions()
    found.Init(table.Bytes, table.Pos)
    return found

def same_pads(side, kernel, stride):
    "The zeros before and after a side, so that a convolution returns one value for each stride."
    missing = max((-(-side//stride) - 1)*stride + kernel - side, 0)
    return missing//2, missing - missing//2

class Translation:
    "The nodes and weights of an ONNX graph, channels first."
    def __init__(self, data, classes):
        self.model = tflite.Model.GetRootAs(data, 0)
        self.graph, self.classes = self.model.Subgraphs(0), classes
        self.values, self.nodes, self.weights = {}, [], []
        self.ops = [self.graph.Operators(i) for i in range(self.graph.OperatorsLength())]

    def kind(self, op):
        "The name of an operator."
        return tflite.opcode2name(self.model.OperatorCodes(op.OpcodeIndex()).BuiltinCode())

    def shape(self, i): return self.graph.Tensors(i).ShapeAsNumpy().tolist()

    def constant(self, i):
        "The values of a tensor of weights."
        if i in self.values: return self.values[i]
        tensor = self.graph.Tensors(i)
        return self.model.Buffers(tensor.Buffer()).DataAsNumpy().view(TYPES[tensor.Type()]).reshape(self.shape(i))

    def weight(self, i, values):
        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), f'w{i}'))
        return f'w{i}'

    def add(self, kind, inputs, output, **attributes):
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def activate(self, function, i):
        "The name that the node before an activation gives to its output."
        if function == tflite.ActivationFunctionType.NONE: return f't{i}'
        if function != tflite.ActivationFunctionType.RELU6:
            raise PetpooError(f'the activation {function} is not translated')
        return f'linear{i}'

    def finish(self, name, i):
        if name != f't{i}': self.add('Clip', [name, 'zero', 'six'], f't{i}')

    def is_class_head(self, i):
        "Whether a tensor holds the scores of all classes."
        readers = [o for o in self.ops if o.Inputs(0) == i and self.kind(o) == 'RESHAPE']
        return any(self.shape(o.Outputs(0))[-1] != 4 for o in readers)

    def dequantize(self, op): self.values[op.Outputs(0)] = self.constant(op.Inputs(0)).astype(np.float32)

    def conv(self, op, said, w, group=1):
        "A convolution; `w` is (outputs, inputs, height, width)."
        (x, k, b), out = op.InputsAsNumpy().tolist(), op.Outputs(0)
        bias = self.constant(b)
        if self.is_class_head(out): # only the classes that remain
            n = self.shape(next(o for o in self.ops if o.Inputs(0) == out).Outputs(0))[-1]
            w = w.reshape(-1, n, *w.shape[1:])[:, self.classes].reshape(-1, *w.shape[1:])
            bias = bias.reshape(-1, n)[:, self.classes].reshape(-1)
        strides = [said.StrideH(), said.StrideW()]
        pads = [0]*4
        if said.Padding() == tflite.Padding.SAME:
            (top, bottom), (left, right) = map(same_pads, self.shape(x)[1:3], w.shape[2:], strides)
            pads = [top, left, bottom, right]
        name = self.activate(said.FusedActivationFunction(), out)
        inputs = [f't{x}', self.weight(k, w), self.weight(b, bias)]
        self.add('Conv', inputs, name, strides=strides, pads=pads, group=group)
        self.finish(name, out)

    def conv_2d(self, op):
        self.conv(op, options(op, tflite.Conv2DOptions), self.constant(op.Inputs(1)).transpose(0, 3, 1, 2))

    def depthwise_conv_2d(self, op):
        w = self.constant(op.Inputs(1)).transpose(3, 0, 1, 2)
        self.conv(op, options(op, tflite.DepthwiseConv2DOptions), w, group=len(w))

    def sum(self, op):
        name = self.activate(options(op, tflite.AddOptions).FusedActivationFunction(), op.Outputs(0))
        self.add('Add', [f't{op.Inputs(0)}', f't{op.Inputs(1)}'], name)
        self.finish(name, op.Outputs(0))

    def rows(self, op):
        "A row for each anchor: four numbers of a box, or the scores."
        x, out = op.Inputs(0), op.Outputs(0)
        if self.shape(x)[-1] == self.shape(out)[-1]: return self.add('Identity', [f't{x}'], f't{out}')
        n = 4 if self.shape(out)[-1] == 4 else len(self.classes)
        self.weights.append(numpy_helper.from_array(np.int64([0, -1, n]), f'shape{out}'))
        self.add('Transpose', [f't{x}'], f'last{out}', perm=[0, 2, 3, 1])
        self.add('Reshape', [f'last{out}', f'shape{out}'], f't{out}')

    def joined(self, op): self.add('Concat', [f't{o}' for o in op.InputsAsNumpy()], f't{op.Outputs(0)}', axis=1)

    def translate(self):
        "The ONNX model, in 32 bits."
        how = dict(DEQUANTIZE=self.dequantize, CONV_2D=self.conv_2d, DEPTHWISE_CONV_2D=self.depthwise_conv_2d,
                   ADD=self.sum, RESHAPE=self.rows, CONCATENATION=self.joined)
        for op in self.ops:
            if self.kind(op) not in how: raise PetpooError(f'the operator {self.kind(op)} is not translated')
            how[self.kind(op)](op)
        for name, value in dict(zero=0, six=6).items():
            self.weights.append(numpy_helper.from_array(np.float32(value), name))
        boxes, scores = sorted(self.graph.OutputsAsNumpy().tolist(), key=lambda o: self.shape(o)[-1] != 4)
        renamed = {f't{self.graph.Inputs(0)}': 'image', f't{boxes}': 'boxes', f't{scores}': 'scores'}
        for node in self.nodes:
            for side in (node.input, node.output): side[:] = [renamed.get(o, o) for o in side]
        def value(name, *shape): return helper.make_tensor_value_info(name, TensorProto.FLOAT, ['n', *shape])
        anchors = self.shape(boxes)[1]
        graph = helper.make_graph(
            self.nodes, 'detector', [value('image', 3, INPUT_SIDE, INPUT_SIDE)],
            [value('boxes', anchors, 4), value('scores', anchors, len(self.classes))], self.weights)
        opset = helper.make_opsetid('', 17)
        model = helper.make_model(graph, opset_imports=[opset], producer_name='petpoo', ir_version=8)
        onnx.checker.check_model(model)
        return model

def in_few_bits(model, file):
    "Write the same model with the weights that a static page would get."
    onnx.save(model, file)
    halve_weights(file)
    small = onnx.load(file)
    fewer_bits(small)
    onnx.save(small, file)

# --- the check ---

def inputs(folder, n=20):
    "Photographs as the network takes them."
    for file in sorted(Path(folder).rglob('*.jpg'))[:n]:
        x = np.asarray(Image.open(file).convert('RGB').resize((INPUT_SIDE, INPUT_SIDE)), np.float32)/127.5 - 1
        yield x[None]

def interpreted(data, classes, batches):
    "Boxes and scores by the TFLite interpreter."
    from ai_edge_litert.interpreter import Interpreter
    net = Interpreter(model_content=data)
    net.allocate_tensors()
    for x in batches:
        net.set_tensor(net.get_input_details()[0]['index'], x)
        net.invoke()
        outputs = [net.get_tensor(o['index']) for o in net.get_output_details()]
        boxes, scores = sorted(outputs, key=lambda o: o.shape[-1] != 4)
        yield boxes.reshape(1, -1, 4), scores.reshape(1, boxes.shape[1], -1)[..., classes]

def sigmoid(x): return 1/(1 + np.exp(-x))

def check(data, classes, full, folder):
    "Print the largest difference between the interpreter and the graph in 32 bits, and between that and the small one."
    batches = [*inputs(folder)]
    with tempfile.TemporaryDirectory() as tmp:
        found = [[*interpreted(data, classes, batches)]]
        onnx.save(full, f'{tmp}/full.onnx')
        for file in (f'{tmp}/full.onnx', OUT):
            engine = OnnxRuntime(file, threads=1)
            found.append([engine(x.transpose(0, 3, 1, 2)) for x in batches])
    for what, a, b in [('TFLite and 32 bits', *found[:2]), ('32 bits and few', *found[1:])]:
        boxes = max(np.abs(p[0] - q[0])[sigmoid(p[1]).max(-1) > 0.3].max(initial=0) for p, q in zip(a, b))
        scores = max(np.abs(sigmoid(p[1]) - sigmoid(q[1])).max() for p, q in zip(a, b))
        print(f'{what}: on {len(batches)} photographs, boxes above 0.3 differ by up to {boxes:.2g}, '
              f'scores by up to {scores:.2g}')

def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument('package', help='the package of npm')
    p.add_argument('--check', metavar='PHOTOS', help='a folder of photographs to compare on')
    args = p.parse_args()
    source, classes = network(args.package)
    full = Translation(source, classes).translate()
    with atomic_path(OUT) as path: in_few_bits(full, path)
    data = OUT.read_bytes()
    print(f'Written to {OUT}: {len(data)/1e6:.1f} MB, {len(gzip.compress(data))/1e6:.1f} compressed')
    if args.check: check(source, classes, full, args.check)

if __name__ == '__main__': main()
