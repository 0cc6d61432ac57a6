"""Write drawn pets in the layouts that data sets have, and read each: python benchmarks/layouts.py [--million]

Each layout holds the same drawn photographs. `read_table` must find all of them with the right labels; the script stops if
it does not. With --million, a folder of 100 classes with 10,000 empty files each is made and read in a process of its own,
whose peak memory is measured. Results go to results/layouts.csv."""
import argparse, io, json, shutil, subprocess, sys, tarfile, tempfile, time, zipfile
from pathlib import Path
import numpy as np
import pandas as pd
import pyarrow as pa, pyarrow.parquet as pq
from scipy.io import savemat
from petpoo.core import environment
from petpoo.data.layouts import read_table
from petpoo.sample.faults import draw_pets

OUT = Path('results/layouts.csv')
MAKERS = {} # name of a layout -> function that writes it

def layout(name):
    "Register a function of a folder and rows (path, label, species, number) that writes a layout."
    def add(make):
        MAKERS[name] = make
        return make
    return add

def put(folder, row, name):
    "Copy a photo."
    (folder/name).parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(row.path, folder/name)

def side(row): return 'test' if row.number % 4 == 0 else 'train'

@layout('folders of classes')
def folders(folder, rows):
    for o in rows: put(folder, o, f'{o.label}/{o.number}.jpg')

@layout('classes in splits')
def splits(folder, rows):
    for o in rows: put(folder, o, f'{side(o)}/{o.label}/{o.number}.jpg')

@layout('classes below days')
def days(folder, rows):
    for o in rows: put(folder, o, f'2026-01-0{o.number % 5 + 1}/{o.label}/{o.number}.jpg')

@layout('Dogs vs. Cats')
def dogs_vs_cats(folder, rows):
    for o in rows: put(folder, o, f'train/{o.label}.{o.number}.jpg')
    for o in rows[:3]: put(folder, o, f'test1/{o.number}.jpg')

@layout('Dog Breed Identification')
def dog_breed(folder, rows):
    for o in rows: put(folder, o, f'train/{o.number:032x}.jpg')
    lines = [f'{o.number:032x},{o.label}' for o in rows]
    (folder/'labels.csv').write_text('\n'.join(['id,breed', *lines]))

@layout('Oxford-IIIT Pet')
def oxford(folder, rows):
    for o in rows: put(folder, o, f'images/{o.label}_{o.number}.jpg')
    (folder/'annotations').mkdir()
    for name, part in dict(trainval='train', test='test').items():
        lines = [f'{o.label}_{o.number} 1 1 1' for o in rows if side(o) == part]
        (folder/'annotations'/f'{name}.txt').write_text('\n'.join(lines))

@layout('Stanford Dogs')
def stanford(folder, rows):
    for o in rows: put(folder, o, f'Images/n0208{o.code:04}-{o.label}/n_{o.number}.jpg')
    for name in ('train', 'test'):
        files = [[f'n0208{o.code:04}-{o.label}/n_{o.number}.jpg'] for o in rows if side(o) == name]
        savemat(folder/f'{name}_list.mat', dict(file_list=np.array(files, dtype=object))) # cells, as in the original

@layout('Food-101')
def food(folder, rows):
    for o in rows: put(folder, o, f'images/{o.label}/{o.number}.jpg')
    (folder/'meta').mkdir()
    for name in ('train', 'test'):
        (folder/'meta'/f'{name}.txt').write_text('\n'.join(f'{o.label}/{o.number}' for o in rows if side(o) == name))

@layout('CUB-200')
def cub(folder, rows):
    names = [f'{o.code:03}.{o.label}/{o.number}.jpg' for o in rows]
    for o, name in zip(rows, names): put(folder, o, f'images/{name}')
    train = [int(side(o) == 'train') for o in rows]
    lists = dict(images=names, image_class_labels=[o.code for o in rows], train_test_split=train)
    for name, values in lists.items():
        (folder/f'{name}.txt').write_text('\n'.join(f'{i} {o}' for i, o in enumerate(values, 1)))
    classes = sorted({(o.code, o.label) for o in rows})
    (folder/'classes.txt').write_text('\n'.join(f'{code} {code:03}.{label}' for code, label in classes))

@layout('Caltech-101')
def caltech(folder, rows):
    for o in rows: put(folder, o, f'101_ObjectCategories/{o.label}/image_{o.number:04}.jpg')
    put(folder, rows[0], '101_ObjectCategories/BACKGROUND_Google/image_0001.jpg')

@layout('image folder with metadata.jsonl')
def metadata(folder, rows):
    for o in rows: put(folder, o, f'{side(o)}/{o.number}.jpg')
    for name in ('train', 'test'):
        lines = [json.dumps(dict(file_name=f'{o.number}.jpg', label=o.label)) for o in rows if side(o) == name]
        (folder/name/'metadata.jsonl').write_text('\n'.join(lines))

@layout('a table from Excel: semicolons, UTF-16, backslashes')
def excel(folder, rows):
    for o in rows: put(folder, o, f'photos/{o.number}.jpg')
    lines = [f'C:\\photos\\{o.number}.jpg;{o.label}' for o in rows]
    (folder/'labels.csv').write_bytes('\r\n'.join(['Image;Class', *lines]).encode('utf-16'))

@layout('COCO')
def coco(folder, rows):
    for o in rows: put(folder, o, f'images/{o.number}.jpg')
    classes = sorted({(o.code, o.label) for o in rows})
    content = dict(images=[dict(id=o.number, file_name=f'{o.number}.jpg') for o in rows],
        annotations=[dict(image_id=o.number, category_id=o.code) for o in rows],
        categories=[dict(id=code, name=label) for code, label in classes])
    (folder/'annotations').mkdir()
    (folder/'annotations'/'instances.json').write_text(json.dumps(content))

@layout('Parquet shards')
def parquet(folder, rows):
    names = sorted({o.label for o in rows})
    meta = json.dumps(dict(info=dict(features=dict(label=dict(names=names)))))
    for name in ('train', 'test'):
        part = [o for o in rows if side(o) == name]
        images = [dict(bytes=Path(o.path).read_bytes(), path=f'{o.number}.jpg') for o in part]
        table = pa.table(dict(image=images, label=[names.index(o.label) for o in part]))
        table = table.replace_schema_metadata(dict(huggingface=meta))
        pq.write_table(table, folder/f'{name}-00000-of-00001.parquet', row_group_size=16)

@layout('WebDataset')
def webdataset(folder, rows):
    for name in ('train', 'test'):
        with tarfile.open(folder/f'{name}-000000.tar', 'w') as tar:
            for o in rows:
                if side(o) != name: continue
                for ending, data in dict(jpg=Path(o.path).read_bytes(), cls=o.label.encode()).items():
                    info = tarfile.TarInfo(f'{o.number:06}.{ending}')
                    info.size = len(data)
                    tar.addfile(info, io.BytesIO(data))

@layout('a zip of classes in splits')
def zipped(folder, rows):
    splits(folder/'set', rows)
    with zipfile.ZipFile(folder/'set.zip', 'w') as z:
        for o in sorted((folder/'set').rglob('*.jpg')): z.write(o, o.relative_to(folder))
    shutil.rmtree(folder/'set')
    return folder/'set.zip'

@layout('a tar.gz of Dogs vs. Cats')
def tarred(folder, rows):
    dogs_vs_cats(folder/'set', rows)
    with tarfile.open(folder/'set.tar.gz', 'w:gz') as tar: tar.add(folder/'set', 'set')
    shutil.rmtree(folder/'set')
    return folder/'set.tar.gz'

def measure(name, folder, rows):
    "Write a layout, read it, and check what was found."
    folder.mkdir()
    place = MAKERS[name](folder, rows) or folder
    began = time.perf_counter()
    table = read_table(place)
    seconds = time.perf_counter() - began
    assert table.label.value_counts().to_dict() == pd.Series([o.label for o in rows]).value_counts().to_dict(), name
    n = table.split.value_counts()
    split = ', '.join(f'{o} {n[o]}' for o in ('train', 'valid', 'test') if o in n) or 'none'
    groups = table.group[table.group != ''].nunique()
    return dict(layout=name, photos=len(table), classes=table.label.nunique(), split=split, groups=groups,
                seconds=round(seconds, 3), read_as=table.attrs['notes'][0])

def million(folder):
    "Read a million files in a process of its own."
    for c in range(100):
        (folder/'train'/f'class {c:02}').mkdir(parents=True)
        for i in range(10_000): (folder/'train'/f'class {c:02}'/f'{i:06}.jpg').touch()
    code = ('import resource, sys, time; from petpoo.data.layouts import read_table; t = time.perf_counter();'
            'n = len(read_table(sys.argv[1])); t = time.perf_counter() - t;'
            'print(n, t, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)')
    done = subprocess.run([sys.executable, '-c', code, str(folder)], capture_output=True, text=True, check=True)
    n, seconds, peak = done.stdout.split()
    return dict(layout='a million files in 100 classes', photos=int(n), classes=100, split='train 1000000', groups=0,
                seconds=round(float(seconds), 1), peak_mib=int(peak) >> 10)

def main():
    parser = argparse.ArgumentParser(description=__doc__.partition('\n')[0])
    parser.add_argument('--million', action='store_true', help='also a million files')
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        drawn = draw_pets(f'{tmp}/pets', n=74, size=64, seed=7)
        drawn = drawn[drawn.label.isin(sorted(drawn.label.unique())[:12])]
        codes = {o: i for i, o in enumerate(sorted(drawn.label.unique()), 1)}
        rows = list(drawn.assign(code=drawn.label.map(codes), number=range(1, len(drawn) + 1)).itertuples())
        found = [measure(name, Path(tmp)/str(i), rows) for i, name in enumerate(MAKERS)]
        if args.million: found.append(million(Path(tmp)/'million'))
    table = pd.DataFrame(found).assign(**environment())
    table.to_csv(OUT, index=False)
    print(table.iloc[:, :8].to_string())

if __name__ == '__main__': main()
