"""Run notebooks, with their cells for GPUs, on a GPU that is pretended. Run from the project's root:

    python .ci/pretended_gpu.py nbs/11c_training.ipynb ...

A tensor that is sent to it stays on the processor and says that it is on `cuda:0`. Like one that is there, it refuses to
become an array, and to be combined with tensors that are elsewhere. Mixed precision scales its losses, but computes in
32 bits. What a real GPU computes, how fast, and in how much memory is not tested; processes of their own see none."""
import sys, threading
from collections import Counter
from pathlib import Path
import fastai.vision.all, timm, torch, torch._dynamo # noqa: F401, before torch is changed
from nbdev.test import test_nb
from torch.overrides import TorchFunctionMode
from torch.utils.weak import WeakIdKeyDictionary
from petpoo.train import ahead

GPU, CPU = torch.device('cuda', 0), torch.device('cpu')
PLACED = WeakIdKeyDictionary() # the tensors on the GPU
SEEN: Counter = Counter() # what was asked of it
MIXED = {'to', 'type_as', 'copy_', '__getitem__', '__setitem__', 'index_put_', 'equal', 'numel', 'size', 'dim', '__set__',
         '_has_compatible_shallow_copy_type'} # may see tensors of both

def tensors(o):
    if isinstance(o, torch.Tensor): yield o
    elif isinstance(o, dict): yield from tensors([*o.values()])
    elif isinstance(o, (list, tuple)):
        for value in o: yield from tensors(value)

def is_gpu(o): return isinstance(o, (str, torch.device)) and str(o).partition(':')[0] == 'cuda'
def is_cpu(o): return isinstance(o, (str, torch.device)) and str(o) == 'cpu'
def below(o): return CPU if is_gpu(o) else o
def on_gpu(t): return t in PLACED

def place(o, there=True):
    "Note where tensors are."
    for t in tensors(o):
        if there: PLACED[t] = True
        else: PLACED.pop(t, None)
    return o

def goal(name, args, kwargs):
    "Where a call sends its result: True to the GPU, False to the processor, None where its arguments are."
    named = [*args[1:], *kwargs.values()] if name == 'to' else [kwargs.get('device')]
    if name == 'to' and len(args) > 1 and isinstance(args[1], torch.Tensor): return on_gpu(args[1])
    if name == 'cuda' or any(map(is_gpu, named)): return True
    return False if name == 'cpu' or any(map(is_cpu, named)) else None

class Pretended(TorchFunctionMode):
    "Within the block, and in threads that begin in it, there is a GPU."
    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs, name, owner = kwargs or {}, getattr(func, '__name__', ''), getattr(func, '__self__', None)
        if func is torch.device or name == '_parse_to': return func(*args, **kwargs)
        if name == '__get__' and owner is torch.Tensor.device: return GPU if on_gpu(args[0]) else CPU
        if name == '__get__' and owner is torch.Tensor.is_cuda: return on_gpu(args[0])
        if name == '__set__' and owner is torch.Tensor.data: place(args[0], on_gpu(args[1]))
        if name in ('numpy', '__array__') and on_gpu(args[0]): raise TypeError(f'{name} of a tensor on the GPU')
        if name in ('pin_memory', 'is_pinned'): return self.pin(name, args[0])
        return self.call(func, name, args, kwargs, [*tensors((args, kwargs))])

    def pin(self, name, t):
        SEEN[name] += 1
        return t if name == 'pin_memory' else False

    def call(self, func, name, args, kwargs, given):
        places = {on_gpu(t) for t in given if t.dim()} if len(given) > 1 and name not in MIXED else ()
        if len(places) > 1: raise RuntimeError(f'{name} of tensors on the GPU and of others')
        there, old = goal(name, args, kwargs), any(map(on_gpu, given))
        out = args[0] if name == 'cuda' else func(*map(below, args), **{k: below(v) for k, v in kwargs.items()})
        if there is None: return place(out) if old else out
        if isinstance(out, torch.Tensor) and any(out is t for t in given) and on_gpu(out) != there: out = out.view_as(out)
        return place(out, there)

def counted(kind, method, name):
    "Count the calls of a method."
    old = getattr(kind, method)
    def new(self, *args, **kwargs):
        SEEN[name(self)] += 1
        return old(self, *args, **kwargs)
    setattr(kind, method, new)

def pretend_cuda():
    "What torch says of its GPUs."
    def same(value): return lambda *args, **kwargs: value
    state, cuda = torch.random.get_rng_state(), torch.cuda
    for o in ('is_available', 'is_bf16_supported'): setattr(cuda, o, same(True))
    for o in ('_lazy_init', 'synchronize', 'empty_cache', 'set_device', 'set_rng_state', 'set_rng_state_all'):
        setattr(cuda, o, same(None))
    cuda.device_count, cuda.current_device, cuda.get_rng_state_all = same(1), same(0), same([state])
    cuda.get_device_capability, cuda.get_rng_state = same((8, 0)), same(state)
    torch.optim.Optimizer._accelerator_graph_capture_health_check = same(None)
    ahead.without_gpu = same(False)

def pretend_tensors():
    "Functions that a mode does not see."
    make, cast, load, export, run = (torch.Tensor._make_subclass, torch.Tensor.as_subclass, torch.load, torch.onnx.export,
                                     threading.Thread.run)
    def make_placed(cls, t, *args, **kwargs): return place(make(cls, t, *args, **kwargs), on_gpu(t))
    def load_placed(*args, map_location=None, **kwargs):
        out = load(*args, map_location=below(map_location), **kwargs)
        return place(out) if is_gpu(map_location) else out
    def export_below(model, args, *more, **kwargs):
        if any(map(on_gpu, tensors((args, dict(model.state_dict()))))): raise RuntimeError('an export on the GPU')
        with torch._C.DisableTorchFunction(): return export(model, args, *more, **kwargs)
    def run_pretended(self):
        with Pretended(): run(self)
    class Generator(torch.Generator):
        def __new__(cls, device='cpu'): return super().__new__(cls, below(device))
    torch.Tensor._make_subclass, torch.Generator = staticmethod(make_placed), Generator
    torch.Tensor.as_subclass = lambda self, cls: place(cast(self, cls), on_gpu(self))
    torch.load, torch.onnx.export, threading.Thread.run = load_placed, export_below, run_pretended

def main():
    pretend_cuda()
    pretend_tensors()
    counted(torch.autocast, '__enter__', lambda o: f'autocast to {o.fast_dtype}' if o.device == 'cuda' else 'autocast below')
    counted(torch.amp.GradScaler, 'step', lambda o: 'scaled steps')
    failed = []
    with Pretended():
        for o in sys.argv[1:]:
            right, seconds = test_nb(Path(o), skip_flags={'slow', 'net'}, force_flags={'cuda'}, basepath='.')
            print(f'{"ok" if right else "FAILED"}: {o} ({seconds:.0f} s)', flush=True)
            if not right: failed.append(o)
    print(dict(SEEN))
    sys.exit(1 if failed or not SEEN['scaled steps'] else 0)

if __name__ == '__main__': main()
