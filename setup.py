"Everything that a release needs to know stands in settings.ini."
from configparser import ConfigParser
from pathlib import Path
from setuptools import find_namespace_packages, setup

parser = ConfigParser(delimiters=['='], interpolation=None)
parser.read('settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']

def extra(name): return cfg.get(f'{name}_requirements', '').split()

extras = {name: extra(name) for name in cfg.get('extras', 'dev').split()}
extras['train'] += extras['fit'] # what fits a head, and what trains a body
extras['dev'] += extras['train'] # the notebooks train

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    license='Apache-2.0',
    description=cfg['description'],
    long_description=Path('README.md').read_text(encoding='utf-8'),
    long_description_content_type='text/markdown',
    url=cfg['git_url'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    keywords=cfg['keywords'],
    classifiers=[
        'Development Status :: 3 - Alpha',
        'Intended Audience :: Developers',
        'Natural Language :: English',
        *(f'Programming Language :: Python :: 3.{minor}' for minor in range(10, 14)),
    ],
    packages=find_namespace_packages(include=['petpoo', 'petpoo.*'], exclude=['*.__pycache__']),
    include_package_data=True,
    python_requires=f">={cfg['min_python']}",
    install_requires=cfg['requirements'].split(),
    extras_require=extras,
    entry_points={'console_scripts': cfg['console_scripts'].split(),
                  'nbdev': [f"{cfg['lib_path']}={cfg['lib_path']}._modidx:d"]},
    zip_safe=False,
)
