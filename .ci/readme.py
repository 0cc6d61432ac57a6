"""Write README.md from nbs/index.ipynb; with --check, fail where the two differ.

nbdev leaves out hidden cells and its directives, nbconvert writes the Markdown.
Run from the project's root: python .ci/readme.py [--check]"""
import difflib, re, sys
from pathlib import Path
from execnb.nbio import nb2str
from nbconvert import MarkdownExporter
from nbdev.process import NBProcessor
from nbdev.processors import hide_
import nbformat

SOURCE, TARGET = Path('nbs/index.ipynb'), Path('README.md')
LINK = re.compile(r'\]\((?!https?:|#)([^)]+)\)')

def from_root(link):
    "A link of a notebook in nbs/, as seen from the project's root."
    return f']({(SOURCE.parent/link[1]).as_posix().replace("nbs/../", "")})'

def readme():
    "The notebook as Markdown."
    processor = NBProcessor(SOURCE, procs=[hide_])
    processor.process()
    nb = nbformat.reads(nb2str(processor.nb), 4)
    nb.metadata['language_info'] = dict(name='python')
    body, resources = MarkdownExporter().from_notebook_node(nb)
    if resources['outputs']:
        sys.exit(f'{SOURCE}: README.md cannot hold the figures {list(resources["outputs"])}; link files in nbs/images')
    return re.sub(r'\n{3,}', '\n\n', LINK.sub(from_root, body)).strip() + '\n'

def check(old, new):
    "End with the differences, if there are any."
    lines = [o.splitlines() for o in (old, new)]
    diff = [*difflib.unified_diff(*lines, str(TARGET), str(SOURCE), lineterm='')]
    if diff: sys.exit('\n'.join([*diff, f'{TARGET} and {SOURCE} differ: python .ci/readme.py']))

def main():
    if '--check' in sys.argv: check(TARGET.read_text(encoding='utf-8'), readme())
    else: TARGET.write_text(readme(), encoding='utf-8')

if __name__ == '__main__': main()
