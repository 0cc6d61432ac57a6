"""Render the notebooks as a static site below _docs/: python .ci/docs.py [--links]

nbdev reads the notebooks, fastcore the docments; Sphinx with MyST-NB and Furo renders. Every warning is an error, so a link that leads
nowhere fails the build. --links asks the addresses outside instead, and needs the network.
Run from the project's root, after pip install -e '.[dev,docs]'."""
import ast, inspect, os, re, shutil, sys
from functools import cached_property
from importlib import import_module
from pathlib import Path
from execnb.nbio import mk_cell, write_nb
from fastcore.docments import docments
from nbdev.config import get_config
from nbdev.doclinks import NbdevLookup
from nbdev.process import NBProcessor
from nbdev.processors import hide_line, strip_ansi
from nbdev.showdoc import showdoc_nm
from petpoo._modidx import d as INDEX
from sphinx.cmd.build import main as sphinx

CFG, ROOT = get_config(), Path.cwd()
NBS, BUILD, SITE = ROOT/'nbs', ROOT/'_proc', ROOT/'_docs'
STAGE = BUILD/'pages'
INDEX_PAGE, TUTORIALS, MODULES = NBS/'index.ipynb', sorted((NBS/'tutorials').glob('*.ipynb')), sorted(NBS.glob('[0-9]*.ipynb'))
TEXTS = sorted(o for o in ROOT.glob('*.md') if o.name != 'README.md')
PAGES = [INDEX_PAGE, *TUTORIALS, *MODULES, *TEXTS]

class Names(NbdevLookup):
    "A name in backticks leads to its description: this library's on the site, other nbdev libraries' on theirs."
    own = {short: full for names in INDEX['syms'].values() for full in names if '._' not in full for short in (full, full.split('.', 2)[2])}
    def doc(self, name):
        if name in self.own: return f'#{self.own[name]}'
        link = super().doc(name)
        return link if link and not link.startswith(CFG.doc_host) else None # private names have no description

NAMES = Names()

def page(file):
    "Where a file is put: without its number, as nbdev names its pages, in small letters."
    relative = file.relative_to(NBS if file.is_relative_to(NBS) else ROOT)
    return STAGE/relative.with_name(re.sub(r'^\d+[a-z]?_', '', relative.name).lower())

def relink(text, file):
    "Links to pages follow them; links to any other file of the project lead to its repository."
    def follow(link):
        there = Path(os.path.normpath(file.parent/link[1]))
        if there in PAGES: return f'](/{page(there).relative_to(STAGE)}{link[2]}'
        if not there.exists() or there.is_relative_to(NBS/'images'): return link[0]
        return f']({CFG.git_url}/blob/{CFG.branch}/{there.relative_to(ROOT)}{link[2]}'
    return re.sub(r'\]\((?!\w+:)([^)#\s]+)([^)]*\))', follow, text)

# An exported cell becomes the documentation of what it defines

class Bare(str):
    __repr__ = str.__str__

def plain(o):
    "The name of a class or a function, nothing for any other value."
    return o.__name__ if inspect.isfunction(o) or inspect.isclass(o) and not hasattr(o, '__args__') else ''

def signature(obj):
    "Names and defaults; the types stand in the table."
    try: sig = inspect.signature(obj)
    except ValueError: return '' # a subclass of a builtin
    args = [o.replace(annotation=o.empty, default=Bare(plain(o.default)) if o.default is not o.empty and plain(o.default) else o.default) for o in sig.parameters.values()]
    return re.sub(r'^\((self|cls)(, )?', '(', str(sig.replace(parameters=args, return_annotation=sig.empty)))

def kind_of(anno):
    "A type as it is read: without the modules."
    return '' if anno in (inspect.Parameter.empty, None) else plain(anno) or re.sub(r'(\w+\.)+', '', str(anno))

def parameters(obj):
    "Docments as a table."
    rows = [(f'`{name}`' if name != 'return' else '*returns*', kind_of(o['anno']), NAMES.link_line(' '.join((o['docment'] or '').split())))
            for name, o in docments(obj, full=True).items() if name not in ('self', 'cls')]
    rows = [(name, kind and f'`{kind}`', text) for name, kind, text in rows if name != '*returns*' or text or kind and not inspect.isclass(obj)]
    return '\n'.join('| ' + ' | '.join(c.replace('|', r'\|') for c in o) + ' |' for o in [('parameter', 'type', 'meaning'), ['---']*3, *rows]) if rows else ''

def directive(kind, title, module, *parts, options='', fence=4):
    return '\n'.join(['`'*fence + '{py:%s} %s' % (kind, title), f':module: {module}{options}', '', *(o + '\n' for o in parts if o), '`'*fence])

def definition(node, module, owner=''):
    "A function, a class with its methods, or a property."
    path = owner + (node.name if owner else showdoc_nm(node))
    obj = module
    for name in path.split('.'): obj = inspect.getattr_static(obj, name)
    obj = getattr(obj, '__func__', obj)
    text = NAMES.linkify(ast.get_docstring(node))
    if isinstance(obj, cached_property): obj = property(obj.func)
    if isinstance(obj, property):
        back = docments(obj.fget, full=True)['return']
        return directive('property', path, module.__name__, text, NAMES.link_line(back['docment'] or ''), options=f'\n:type: {kind_of(back["anno"])}' if kind_of(back['anno']) else '')
    inner = [definition(o, module, path + '.') for o in node.body if isinstance(o, ast.FunctionDef) and o.name[0] != '_'] if inspect.isclass(obj) else []
    kind = 'class' if inspect.isclass(obj) else 'method' if '.' in path else 'function'
    return directive(kind, path + signature(obj), module.__name__, text, parameters(obj), *inner, fence=5 if inner else 4)

def constant(node, source, module):
    "Its value where that is short, and the comment beside it."
    value, comment = ast.unparse(node.value), source.splitlines()[node.lineno - 1].partition(' # ')[2]
    return directive('data', node.targets[0].id, module.__name__, NAMES.linkify(comment), options=f'\n:value: {value}' if len(value) < 80 else '')

def describe(source, module):
    "Markdown for everything public in a cell."
    def one(o):
        if isinstance(o, (ast.FunctionDef, ast.ClassDef)) and o.name[0] != '_': return definition(o, module)
        if isinstance(o, ast.Assign) and getattr(o.targets[0], 'id', '_')[0] != '_': return constant(o, source, module)
    return '\n\n'.join(filter(None, map(one, ast.parse(source).body)))

# Pages

def toctree(caption, files):
    return '\n'.join(['```{toctree}', ':hidden:', f':caption: {caption}', '', *(f'/{page(o).relative_to(STAGE).with_suffix("")}' for o in files), '```']) if files else ''

def stage(file):
    "Write what Sphinx reads."
    target = page(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.suffix == '.md': return target.write_text(relink(file.read_text(encoding='utf-8'), file), encoding='utf-8')
    processor = NBProcessor(file, procs=[hide_line, strip_ansi])
    processor.process()
    nb = processor.nb
    module = next((o.directives_['default_exp'][0] for o in nb.cells if 'default_exp' in getattr(o, 'directives_', {})), None)
    def shown(cell):
        directives = getattr(cell, 'directives_', {})
        if cell.cell_type == 'markdown': cell.source = relink(NAMES.linkify(cell.source), file)
        elif 'export' in directives: return mk_cell(describe(cell.source, import_module(f'petpoo.{module}')), 'markdown')
        return cell if cell.source and not directives.keys() & {'hide', 'default_exp'} else None
    nb.cells = [o for o in map(shown, nb.cells) if o and o.source]
    if file == INDEX_PAGE: nb.cells += [mk_cell(toctree(*o), 'markdown') for o in dict(Tutorials=TUTORIALS, Modules=MODULES, Project=TEXTS).items()]
    nb.metadata['language_info'] = dict(name='python')
    write_nb(nb, target)

def main():
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(NBS/'images', STAGE/'images')
    for file in PAGES: stage(file)
    builder = 'linkcheck' if '--links' in sys.argv else 'html'
    failed = sphinx(['-b', builder, '-c', str(ROOT/'.ci/docs'), '-W', '--keep-going', '-q', '-j', 'auto', '-d', str(BUILD/'doctrees'), str(STAGE), str(BUILD/builder)])
    if failed: sys.exit(f'the site was not built: {failed} (the warnings above are errors)')
    if builder == 'html':
        shutil.rmtree(SITE, ignore_errors=True)
        shutil.move(BUILD/builder, SITE)
        print(f'{len(PAGES)} pages: {SITE.relative_to(ROOT)}/index.html')

if __name__ == '__main__': main()
