"""Measure how the reference notebooks are written; write results/style.csv.

    python benchmarks/style.py [--check] [NOTEBOOK ...]

The table has a row for each notebook, and one for all: words of prose for each exported line, lines of an exported
cell, share of exported cells above 15 lines, test cells for each exported cell, share of the other code cells with a
shown output, lines above 120 and above 150 characters, and private names imported from another module. Blank lines are
not counted. Names that two modules define are listed, without methods that `@patch` adds.

If notebooks are named, or with --check, nothing is written. With --check the exit code is 1 for a line above 120, a
module above 350 lines, a private name imported from another module, or a fifth of the exported cells above 15 lines."""
import ast, json, re, sys
from collections import Counter
from pathlib import Path
import pandas as pd

ROOT = Path(__file__).parent.parent
OUT = ROOT/'results'/'style.csv'
EXPORT, TEST = re.compile(r'#\|\s*exporti?\b'), re.compile(r'\b(assert|test_\w+|ExceptionExpected)\b')

def lines_of(source): return [o for o in source.splitlines() if o.strip() and not o.startswith('#|')]

def measure(file):
    "Counts of one notebook."
    cells = json.loads(file.read_text(encoding='utf-8'))['cells']
    sources = [(o, ''.join(o['source'])) for o in cells]
    exported = [lines_of(s) for o, s in sources if o['cell_type'] == 'code' and EXPORT.search(s)]
    rest = [(o, s) for o, s in sources if o['cell_type'] == 'code' and not EXPORT.search(s)]
    others = [(o, s) for o, s in rest if 'default_exp' not in s]
    lines = [line for o in exported for line in o]
    private = [n for o in exported for n in private_imports('\n'.join(o))]
    return Counter(
        words=sum(len(s.split()) for o, s in sources if o['cell_type'] == 'markdown'),
        lines=len(lines), cells=len(exported), long_cells=sum(len(o) > 15 for o in exported),
        tests=sum(bool(TEST.search(s)) for _, s in others), others=len(others),
        shown=sum(bool(o['outputs']) for o, _ in others), above_120=sum(len(o) > 120 for o in lines),
        above_150=sum(len(o) > 150 for o in lines), private=len(private))

def private_imports(source):
    "Private names that a cell imports from a module of the package."
    tree = ast.parse(re.sub(r'^[%!].*$', '', source, flags=re.M))
    imports = [o for o in ast.walk(tree) if isinstance(o, ast.ImportFrom) and (o.module or '').startswith('petpoo')]
    return [n.name for o in imports for n in o.names if n.name[0] == '_']

def figures(n):
    "Ratios from counts."
    return dict(
        words_a_line=round(n['words']/max(n['lines'], 1), 1), lines_a_cell=round(n['lines']/max(n['cells'], 1), 1),
        long_cells=round(n['long_cells']/max(n['cells'], 1), 3), tests_a_cell=round(n['tests']/max(n['cells'], 1), 2),
        shown=round(n['shown']/max(n['others'], 1), 2), lines=n['lines'],
        above_120=n['above_120'], above_150=n['above_150'], private_imports=n['private'])

def defined_names(file):
    "Names that a module defines at its top level, without the dunders."
    for o in ast.parse(file.read_text(encoding='utf-8')).body:
        if isinstance(o, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)) and not is_patch(o): yield o.name
        if not isinstance(o, ast.Assign): continue
        yield from (t.id for t in o.targets if isinstance(t, ast.Name) and t.id[:2] != '__')

def is_patch(o): return any('patch' in ast.unparse(d) for d in o.decorator_list)

def house():
    "Lines of each module, and names that two modules define."
    files = [o for o in (ROOT/'petpoo').rglob('*.py') if o.name not in ('__init__.py', '_modidx.py')]
    lines = {str(o.relative_to(ROOT/'petpoo')): len(o.read_text(encoding='utf-8').splitlines()) for o in files}
    twice = Counter(name for o in files for name in {*defined_names(o)})
    return lines, {name: n for name, n in twice.items() if n > 1}

def print_house():
    "Print long modules and names defined twice; returns the long modules."
    lines, twice = house()
    crowded = {k: n for k, n in lines.items() if n > 350}
    print('modules above 350 lines:', crowded or 'none')
    print('names defined in two modules:', ', '.join(sorted(twice)) or 'none')
    return crowded

def main():
    named = [Path(o) for o in sys.argv[1:] if o != '--check']
    files = named or sorted((ROOT/'nbs').glob('[0-9]*.ipynb'))
    counts = {o.stem: measure(o) for o in files}
    counts['all'] = sum(counts.values(), Counter())
    table = pd.DataFrame({k: figures(o) for k, o in counts.items()}).T
    print(table.to_string())
    crowded, every = print_house(), table.loc['all']
    if '--check' in sys.argv:
        wrong = table.index[(table.above_120 + table.private_imports > 0) & (table.index != 'all')]
        print('long lines or private imports:', ', '.join(wrong) or 'none')
        sys.exit(bool(crowded or len(wrong) or every.long_cells >= .2))
    if not named: table.rename_axis('notebook').to_csv(OUT)

if __name__ == '__main__': main()
