"What an exported cell defines, as Markdown for Sphinx's Python domain. The parameters come from fastcore's docments."
import ast, inspect, re
from functools import cached_property
from fastcore.docments import docments
from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup
from nbdev.showdoc import showdoc_nm
from petpoo._modidx import d as INDEX

EMPTY = inspect.Parameter.empty

# Links

def own_names():
    "Public name, with and without its module -> full name."
    full = [name for names in INDEX['syms'].values() for name in names if '._' not in name]
    return {name.split('.', 2)[2]: name for name in full} | {name: name for name in full}

class Names(NbdevLookup):
    "A name in backticks leads to its description: this library's on the site, other nbdev libraries' on theirs."
    own, commands = own_names(), re.compile(r'(?<!\[)`petpoo ([a-z]+)( --[\w-]+)?`')

    def doc(self, name):
        if name in self.own: return f'#{self.own[name]}'
        link = super().doc(name)
        return link if link and not link.startswith(get_config().doc_host) else None # private names have no description

    def link_line(self, line): return self.commands.sub(r'[\g<0>](#petpoo-\1)', super().link_line(line))

NAMES = Names()

# Values and types

def is_plain(o): return inspect.isfunction(o) or inspect.isclass(o) and not hasattr(o, '__args__')

def type_name(anno):
    "A type without its modules."
    if anno in (EMPTY, None): return ''
    return anno.__name__ if is_plain(anno) else re.sub(r'(\w+\.)+', '', str(anno))

class Bare(str):
    "A name that is shown without quotes."
    __repr__ = str.__str__

def bare(param):
    "A parameter without its type, which the table shows, and with the name of a function or class as its default."
    default = Bare(param.default.__name__) if is_plain(param.default) and param.default is not EMPTY else param.default
    return param.replace(annotation=EMPTY, default=default)

def signature(obj):
    "Names and defaults."
    try: sig = inspect.signature(obj)
    except ValueError: return '' # a subclass of a builtin
    sig = sig.replace(parameters=[bare(o) for o in sig.parameters.values()], return_annotation=EMPTY)
    return re.sub(r'^\((self|cls)(, )?', '(', str(sig))

def table(header, rows):
    "A table in Markdown; empty without rows."
    if not rows: return ''
    rows = [header, ['---']*len(header), *rows]
    return '\n'.join('| ' + ' | '.join(c.replace('|', r'\|').replace('\n', '<br>') for c in o) + ' |' for o in rows)

def meaning(docment): return NAMES.link_line(' '.join((docment or '').split()))

def parameters(obj):
    "Docments as a table. What a class returns is itself."
    found = {k: (type_name(o['anno']), meaning(o['docment'])) for k, o in docments(obj, full=True).items()}
    back = found.pop('return', ('', ''))
    rows = [(f'`{k}`', kind and f'`{kind}`', text) for k, (kind, text) in found.items() if k not in ('self', 'cls')]
    if back[1] or back[0] and not inspect.isclass(obj): rows.append(('*returns*', back[0] and f'`{back[0]}`', back[1]))
    return table(('parameter', 'type', 'meaning'), rows)

# Directives

def directive(kind, title, module, *parts, fence=4, **options):
    "A directive of the Python domain."
    options = [f':{k}: {v}' for k, v in dict(module=module, **options).items() if v]
    return '\n'.join(['`'*fence + f'{{py:{kind}}} {title}', *options, '', *(f'{o}\n' for o in parts if o), '`'*fence])

def lookup(module, path):
    "What a name of a module stands for; properties as such, and methods as functions."
    obj = module
    for name in path.split('.'): obj = inspect.getattr_static(obj, name)
    obj = getattr(obj, '__func__', obj)
    return property(obj.func) if isinstance(obj, cached_property) else obj

def methods(node): return [o for o in node.body if isinstance(o, ast.FunctionDef) and o.name[0] != '_']

def definition(node, module, owner=''):
    "A function, a class with its methods, or a property."
    path = owner + (node.name if owner else showdoc_nm(node))
    obj, text = lookup(module, path), NAMES.linkify(ast.get_docstring(node))
    if isinstance(obj, property):
        back = docments(obj.fget, full=True)['return']
        return directive('property', path, module.__name__, text, meaning(back['docment']), type=type_name(back['anno']))
    inner = [definition(o, module, f'{path}.') for o in methods(node)] if inspect.isclass(obj) else []
    kind = 'class' if inspect.isclass(obj) else 'method' if '.' in path else 'function'
    parts = [text, parameters(obj), *inner]
    return directive(kind, path + signature(obj), module.__name__, *parts, fence=5 if inner else 4)

def constant(node, source, module):
    "Its value where that is short, and the comment beside it."
    value, comment = ast.unparse(node.value), source.splitlines()[node.lineno - 1].partition(' # ')[2]
    shown = value if len(value) < 80 else ''
    return directive('data', node.targets[0].id, module.__name__, NAMES.linkify(comment), value=shown)

def describe(source, module):
    "Markdown for everything public in a cell."
    def one(o):
        if isinstance(o, ast.FunctionDef | ast.ClassDef) and o.name[0] != '_': return definition(o, module)
        if isinstance(o, ast.Assign) and getattr(o.targets[0], 'id', '_')[0] != '_': return constant(o, source, module)
    return '\n\n'.join(filter(None, map(one, ast.parse(source).body)))
