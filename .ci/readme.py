"""Write README.md from nbs/index.ipynb; with --check, fail where the two differ.

Run from the project's root: python .ci/readme.py [--check]"""
import difflib, re, sys
from pathlib import Path
import nbformat
from nbconvert import MarkdownExporter

SOURCE, TARGET = Path('nbs/index.ipynb'), Path('README.md')

LINK = re.compile(r'\]\((?!https?:|#)([^)]+)\)')

def from_root(link):
    "A link of a notebook in nbs/, as seen from the project's root."
    return '](' + (SOURCE.parent/link[1]).as_posix().replace('nbs/../', '') + ')'

def visible(cell):
    "Directives of nbdev stay out of the README, and hidden cells altogether."
    if cell.cell_type != 'code': return cell
    lines = cell.source.splitlines()
    directives = {o.strip() for o in lines if o.startswith('#|')}
    if directives & {'#| hide', '#|hide', '#| export'}: return None
    cell.source = '\n'.join(o for o in lines if not o.startswith('#|'))
    return cell

def readme():
    nb = nbformat.read(SOURCE, 4)
    nb.cells = [c for c in map(visible, nb.cells) if c is not None]
    nb.metadata['language_info'] = dict(name='python')
    body, resources = MarkdownExporter().from_notebook_node(nb)
    if resources['outputs']: raise SystemExit(f'{SOURCE}: README.md cannot hold the figures {list(resources["outputs"])}; link a file below nbs/images instead')
    return re.sub(r'\n{3,}', '\n\n', LINK.sub(from_root, body)).strip() + '\n'

def main():
    new = readme()
    if '--check' not in sys.argv: return TARGET.write_text(new, encoding='utf-8')
    diff = list(difflib.unified_diff(TARGET.read_text(encoding='utf-8').splitlines(), new.splitlines(), str(TARGET), str(SOURCE), lineterm=''))
    if diff: sys.exit('\n'.join([*diff, f'{TARGET} and {SOURCE} differ: python .ci/readme.py']))

if __name__ == '__main__': main()
