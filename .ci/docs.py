"""Render the notebooks as a static site below _docs/: python .ci/docs.py [--links]

nbdev reads the notebooks, .ci/docs describes exported names and commands, Sphinx with MyST-NB and Furo renders. Every
warning is an error, so a link that leads nowhere fails the build. --links asks the addresses outside instead, and needs
the network. Run from the project's root, after pip install -e ".[dev,docs]"."""
import os, re, shutil, sys
from collections import Counter
from functools import cache
from importlib import import_module
from pathlib import Path
from execnb.nbio import mk_cell, read_nb, write_nb
from nbdev.config import get_config
from nbdev.process import NBProcessor
from nbdev.processors import hide_, hide_line, strip_ansi
from sphinx.cmd.build import main as sphinx

sys.path.append('.ci/docs')
from commands import commands_page
from describe import NAMES, describe, table

CFG, ROOT = get_config(), Path.cwd()
NBS, BUILD, SITE = ROOT/'nbs', ROOT/'_proc', ROOT/'_docs'
STAGE = BUILD/'pages'
HOME = NBS/'index.ipynb'
QUICK, *HOWTO = sorted(o for o in (NBS/'howto').iterdir() if o.suffix in ('.md', '.ipynb'))
TUTORIALS, MODULES = sorted((NBS/'tutorials').glob('*.ipynb')), sorted(NBS.glob('[0-9]*.ipynb'))
PROJECT = sorted(o for o in ROOT.glob('*.md') if o.name != 'README.md')
PAGES = [HOME, QUICK, *HOWTO, *TUTORIALS, *MODULES, *PROJECT]

DOORS = 'learner all cli __main__ moved'.split()
FOLDERS = dict( # title of a group of modules -> its purpose
    doors='Load a classifier, import everything, run a command',
    sample='The drawn pets',
    data='Know the data before any model sees it',
    train='Learners, checkpoints and cached features',
    evaluate='Everything that follows from a table of predictions, and where the mistakes are',
    classify='The portable classifier: export, check, load, predict',
    scale='One map over any number of images, on this machine or on a cluster',
    serve='The web page',
    commands='What each command of the shell does',
    shared='Names, pixels, tables and reports that every folder uses')
TITLES = dict(doors='Front doors', shared='Shared modules')

# Where a page is, and where its links lead

def relative(file): return file.relative_to(NBS if file.is_relative_to(NBS) else ROOT)

def short(file): return relative(file).with_name(re.sub(r'^\d+[a-z]*_', '', file.name).lower())

SHORT = Counter(map(short, PAGES))

def page(file):
    "Where a file is put: without its number, as nbdev names its pages, in small letters; with it, if two are alike."
    return STAGE/(short(file) if SHORT[short(file)] < 2 else relative(file).with_name(file.name.lower()))

def address(file): return f'/{page(file).relative_to(STAGE)}'

def relink(text, file):
    "Links to pages follow them; links to any other file of the project lead to its repository."
    def follow(link):
        there = Path(os.path.normpath(file.parent/link[1]))
        if there in PAGES: return f']({address(there)}{link[2]}'
        if not there.exists() or there.is_relative_to(NBS/'images'): return link[0]
        return f']({CFG.git_url}/blob/{CFG.branch}/{there.relative_to(ROOT)}{link[2]}'
    return re.sub(r'\]\((?!\w+:)([^)#\s]+)([^)]*\))', follow, text)

def markdown(text, file): return relink(NAMES.linkify(text), file)

def toctree(pages, caption=''):
    "Pages in the navigation."
    options = [':hidden:', *([f':caption: {caption}'] if caption else [])]
    return '\n'.join(['```{toctree}', *options, '', *(o.rpartition('.')[0] for o in pages), '```'])

# Reference: a page for each folder of modules

@cache
def opening(file):
    "The module that a notebook exports, and what it says below its title."
    sources = '\n'.join(o.source for o in read_nb(file).cells)
    return re.search(r'^#\| *default_exp +(\S+)', sources, re.M)[1], re.search(r'^> (.+)', sources, re.M)[1]

def module_of(file): return opening(file)[0]

def folder_of(module):
    "The group of a module: its folder, if it has one."
    folder, _, name = module.rpartition('.')
    return folder or ('doors' if name in DOORS else 'shared')

def folder_page(folder, files):
    "A table of the modules of a folder, which stand below it in the navigation."
    rows = [(f'[{module_of(o).rpartition(".")[2]}]({address(o)})', markdown(opening(o)[1], o)) for o in files]
    head = [f'# {TITLES.get(folder, folder)}', f'> {FOLDERS[folder]}', table(('module', 'purpose'), rows)]
    return '\n\n'.join([*head, toctree(map(address, files))])

def write(address, text):
    "Write a page of Markdown."
    target = STAGE/address.strip('/')
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text, encoding='utf-8')

def reference():
    "Write the pages of the commands and the folders; returns their addresses."
    groups = {folder: [o for o in MODULES if folder_of(module_of(o)) == folder] for folder in FOLDERS}
    pages = {f'/reference/{k}.md': folder_page(k, files) for k, files in groups.items()}
    pages = {'/reference/options.md': '\n'.join(map(NAMES.link_line, commands_page().splitlines())), **pages}
    for place, text in pages.items(): write(place, text)
    return pages

# Pages

def documented(file):
    "A processor of nbdev: exported cells become the description of what they define, and names in prose links."
    def change(cell):
        directives = cell.directives_
        if cell.cell_type == 'markdown': cell.source = markdown(cell.source, file)
        elif 'default_exp' in directives: cell.source = None
        elif 'export' in directives:
            text = describe(cell.source, import_module(f'petpoo.{module_of(file)}'))
            cell.update(source=text, cell_type='markdown')
            for o in ('outputs', 'execution_count'): cell.pop(o, None)
    return change

def notebook(file, navigation=()):
    "Write a notebook as Sphinx reads it."
    processor = NBProcessor(file, procs=[hide_, hide_line, strip_ansi, documented(file)])
    processor.process()
    nb = processor.nb
    nb.cells = [o for o in nb.cells if o.source] + [mk_cell(o, 'markdown') for o in navigation]
    nb.metadata['language_info'] = dict(name='python')
    page(file).parent.mkdir(parents=True, exist_ok=True)
    write_nb(nb, page(file))

def navigation(reference_pages):
    "The parts of the site."
    parts = {'Quick start': [QUICK], 'How-to': HOWTO, 'Tutorials': TUTORIALS}
    parts = {k: map(address, o) for k, o in parts.items()}
    return [toctree(o, k) for k, o in (parts | dict(Reference=reference_pages, Project=map(address, PROJECT))).items()]

def stage():
    "Write everything that Sphinx reads."
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(NBS/'images', STAGE/'images')
    for file in PAGES:
        if file.suffix == '.md': write(address(file), markdown(file.read_text(encoding='utf-8'), file))
        elif file != HOME: notebook(file)
    notebook(HOME, navigation(reference()))

def main():
    stage()
    builder = 'linkcheck' if '--links' in sys.argv else 'html'
    options = f'-b {builder} -c .ci/docs -W --keep-going -q -j auto -d {BUILD.name}/doctrees'.split()
    failed = sphinx([*options, str(STAGE), str(BUILD/builder)])
    if failed: sys.exit(f'the site was not built: {failed} (the warnings above are errors)')
    if builder == 'html':
        shutil.rmtree(SITE, ignore_errors=True)
        shutil.move(BUILD/builder, SITE)
        print(f'{len(PAGES)} pages: {SITE.relative_to(ROOT)}/index.html')

if __name__ == '__main__': main()
