"""Write the graphs of the packaged bodies without their weights: petpoo/bodies.

    python benchmarks/bodies.py

ImageNet's weights come with packages of their own (`petpoo.train.packaged.PACKAGED`), as files of PyTorch. To run a body,
an engine needs a graph with these weights in it, and to make one takes torch, timm and an exporter, which together take
longer to start than the engine. So the graph is made here, once, and its weights are cut out: what is left has some
30 KiB. NAME.onnx.gz is the graph with zeros in place of its weights. NAME.json says where each weight stands in the
package's file and in the graph, what its layer is called in the body's state dict, where ImageNet's last layer stands,
and what the body is, so that another body is never taken for it."""
import gzip, hashlib, json, tempfile
from pathlib import Path
import numpy as np, onnx, torch
from onnx import numpy_helper
from torch import nn
from petpoo.train.bodies import export_graph, network_key, weights_key
from petpoo.train.models import make_body, native_size, packaged_weights
from petpoo.train.packaged import BODIES, PACKAGED, fold, weights_file

def place(raw, array):
    "Where an array stands in a file."
    at = raw.find(np.ascontiguousarray(array, '<f4').tobytes())
    assert at >= 0, 'this array is not in the file'
    return at

def tensors(body, raw):
    "For each convolution and the batch norm behind it: names, shape, places in the file, and the folded numbers."
    layers = [o for o in body.named_modules() if isinstance(o[1], (nn.Conv2d, nn.BatchNorm2d))]
    for (conv_name, conv), (norm_name, norm) in zip(layers[::2], layers[1::2]):
        parts = [o.detach().numpy() for o in (conv.weight, norm.weight, norm.bias, norm.running_mean, norm.running_var)]
        at = [place(raw, o) for o in (parts[0].transpose(2, 3, 1, 0), *parts[1:])] # the file is TensorFlow's, at heart
        facts = dict(names=[conv_name, norm_name], shape=conv.weight.shape, at=at, eps=norm.eps)
        yield facts, fold(*parts, norm.eps)

def last_layer(arch, raw):
    "Shape of ImageNet's last layer, and the places of its weight (as TensorFlow has it, transposed) and its bias."
    weight, bias = (o.numpy() for o in [*packaged_weights(arch).values()][-2:])
    return dict(shape=weight.shape, at=[place(raw, weight.T), place(raw, bias)])

def graph_of(body, size):
    "The graph of a body, with its weights as they are in it."
    with tempfile.TemporaryDirectory() as tmp:
        file = Path(tmp)/'body.onnx'
        export_graph(nn.Sequential(body, nn.Flatten()), torch.zeros(2, 3, *size), file, ['image'], ['features'])
        return onnx.load(file)

def nearest(initializers, array):
    "The initializer that holds an array, but for rounding."
    found = [o for o in initializers if np.shape(o[1]) == array.shape and np.allclose(o[1], array, 1e-4, 1e-5)]
    assert len(found) == 1, 'no initializer holds this array, or several do'
    return found[0][0]

def write(arch):
    body, mean, std = make_body(arch)
    size, raw = native_size(arch), weights_file(arch).read_bytes()
    model, found = graph_of(body, size), list(tensors(body, raw))
    held, marks = [(o, numpy_helper.to_array(o)) for o in model.graph.initializer], []
    rng = np.random.default_rng(0)
    for facts, folded in found:
        for name, array in zip(('weight', 'bias'), folded):
            holder, mark = nearest(held, array), rng.normal(size=array.shape).astype(np.float32) # to find its place
            holder.CopyFrom(numpy_helper.from_array(mark, holder.name))
            marks.append((facts, name, mark))
    graph = bytearray(model.SerializeToString())
    for facts, name, mark in marks: facts[name] = place(graph, mark)
    for facts, name, mark in marks: graph[facts[name]:facts[name] + mark.nbytes] = bytes(mark.nbytes)
    BODIES.mkdir(exist_ok=True)
    (BODIES/f'{arch}.onnx.gz').write_bytes(gzip.compress(bytes(graph), mtime=0))
    facts = dict(size=size, mean=mean, std=std, weights=weights_key(body), network=network_key(body),
                 sha256=hashlib.sha256(raw).hexdigest(), layer=last_layer(arch, raw), tensors=[o for o, _ in found])
    (BODIES/f'{arch}.json').write_text(json.dumps(facts, indent=None) + '\n')
    print(arch, f'{len(found)} convolutions', *(f'{o.name} {o.stat().st_size:,} bytes' for o in BODIES.glob(f'{arch}*')))

if __name__ == '__main__':
    for arch in PACKAGED: write(arch)
