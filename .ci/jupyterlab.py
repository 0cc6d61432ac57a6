"""Run a notebook in JupyterLab, as a reader would, in a browser without a screen: python .ci/jupyterlab.py nbs/12_features.ipynb [--out FOLDER]

The notebook is copied, opened, and all of its cells are run. It fails, with one line, where a cell fails, where a widget does not show, or
where no progress bar was seen. Two pictures are left, in the light theme and in the dark one.
Needs pip install -e ".[dev,docs]" and Chromium or Google Chrome."""
import argparse, json, os, shutil, socket, subprocess, sys, tempfile, time
from contextlib import contextmanager
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen
from playwright.sync_api import Error, sync_playwright

SETTINGS = { # all cells are drawn, also those that are out of sight
    'notebook-extension/tracker': {'windowingMode': 'none'},
    'apputils-extension/notification': {'fetchNews': 'false', 'checkForUpdates': False}}

OPEN = """async path => {
    const app = window.jupyterapp
    await app.restored
    const panel = await app.commands.execute('docmanager:open', {path, factory: 'Notebook'})
    await panel.context.ready
    await panel.sessionContext.ready
    app.commands.execute('application:toggle-left-area').catch(() => null)
    window.panel = panel
    window.bars = 0
    new MutationObserver(() => { window.bars = Math.max(window.bars, document.querySelectorAll('.jp-OutputArea progress').length) })
        .observe(document.body, {childList: true, subtree: true})
}"""

RUN = "() => { window.done = false; window.jupyterapp.commands.execute('notebook:run-all-cells').finally(() => { window.done = true }) }"

STATE = """() => {
    const cells = Array.from(window.panel.model.cells).filter(o => o.type == 'code').map(o => o.toJSON())
    return {cells, bars: window.bars, widgets: Array.from(document.querySelectorAll('.jp-OutputArea-output'), o => o.innerText).filter(o => /^(Error displaying widget|Loading widget)/.test(o)).length}
}"""

def fail(message): sys.exit(f'jupyterlab: {message}')

@contextmanager
def server(folder, home):
    "JupyterLab on the loopback, with settings of its own; its address."
    for name, setting in SETTINGS.items():
        file = home/'settings'/'@jupyterlab'/f'{name}.jupyterlab-settings'
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(setting))
    with socket.socket() as s:
        s.bind(('127.0.0.1', 0))
        port = s.getsockname()[1]
    env = {**os.environ, 'JUPYTERLAB_SETTINGS_DIR': str(home/'settings'), 'JUPYTERLAB_WORKSPACES_DIR': str(home/'workspaces'), 'JUPYTER_CONFIG_DIR': str(home/'config'), 'JUPYTER_RUNTIME_DIR': str(home/'runtime'), 'PETPOO_CACHE': str(home/'cache')} # nothing is cached: there is something to wait for
    flags = ['--no-browser', '--expose-app-in-browser', '--ip=127.0.0.1', f'--port={port}', '--ServerApp.port_retries=0', '--IdentityProvider.token=', '--ServerApp.disable_check_xsrf=True',
             '--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate', '--LabApp.news_url=None', '--LabApp.extension_manager=readonly', '--allow-root']
    log = home/'log'
    with log.open('wb') as out: process = subprocess.Popen([sys.executable, '-m', 'jupyterlab', str(folder), *flags], env=env, stdout=out, stderr=subprocess.STDOUT)
    address = f'http://127.0.0.1:{port}'
    try:
        for _ in range(240):
            if process.poll() is not None: fail(f'the server ended: {log.read_text().strip().splitlines()[-1]}')
            try: urlopen(f'{address}/api', timeout=5).close(); break
            except (URLError, OSError): time.sleep(.5)
        else: fail('the server did not answer within two minutes')
        yield address
    finally:
        process.terminate()
        try: process.wait(20)
        except subprocess.TimeoutExpired: process.kill()

def judge(state):
    "Nothing, or what is wrong."
    for cell in state['cells']:
        for o in cell['outputs']:
            if o['output_type'] == 'error': return f'{o["ename"]}: {o["evalue"].splitlines()[0] if o["evalue"] else ""}, in the cell that begins {"".join(cell["source"]).splitlines()[0]!r}'
            if '█' in ''.join(o.get('text', '')): return f'a progress bar is drawn as text in the cell that begins {"".join(cell["source"]).splitlines()[0]!r}'
    if any(cell['execution_count'] is None and ''.join(cell['source']).strip() for cell in state['cells']): return 'not every cell was run'
    if state['widgets']: return f'{state["widgets"]} widgets do not show'
    if not state['bars']: return 'no progress bar was seen'

def drive(address, name, out, seconds):
    "Run it, take the pictures; how it ended."
    browser_path = next(filter(None, map(shutil.which, ['chromium', 'chromium-browser', 'google-chrome'])), None)
    if not browser_path: fail('no Chromium on the PATH; install it (Debian: apt install chromium)')
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=browser_path, args=['--no-sandbox'])
        page = browser.new_page(viewport=dict(width=1200, height=1500))
        page.set_default_timeout(120_000)
        page.goto(f'{address}/lab')
        page.wait_for_function('window.jupyterapp !== undefined')
        page.evaluate(OPEN, name)
        page.evaluate(RUN)
        try: page.wait_for_function('window.done', timeout=seconds*1000, polling=500)
        except Error: fail(f'{name} was not done after {seconds} s')
        state = page.evaluate(STATE)
        for theme in ('Light', 'Dark'):
            page.evaluate("theme => window.jupyterapp.commands.execute('apputils:change-theme', {theme: 'JupyterLab ' + theme})", theme)
            page.wait_for_selector(f'body[data-jp-theme-name="JupyterLab {theme}"]', state='attached')
            page.evaluate("() => (document.querySelector('.jp-OutputArea-output img') ?? document.querySelector('.jp-Cell:last-child')).closest('.jp-Cell').scrollIntoView({block: 'center'})")
            page.wait_for_timeout(2000)
            page.screenshot(path=out/f'{Path(name).stem}-{theme.lower()}.png')
        browser.close()
    return state

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument('notebook', type=Path)
    parser.add_argument('--out', type=Path, default=Path('_proc/jupyterlab'), help='where the pictures go')
    parser.add_argument('--seconds', type=int, default=180, help='how long the cells may take')
    args = parser.parse_args()
    if not args.notebook.is_file(): fail(f'there is no notebook {args.notebook}')
    args.out.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as d:
        folder = Path(d)/args.notebook.parent.name
        folder.mkdir()
        shutil.copy(args.notebook, folder)
        (Path(d)/'home').mkdir()
        with server(folder, Path(d)/'home') as address:
            try: state = drive(address, args.notebook.name, args.out, args.seconds)
            except Error as e: fail(f'{args.notebook}: {e.message.splitlines()[0]}')
    wrong = judge(state)
    if wrong: fail(f'{args.notebook}: {wrong}')
    print(f'{args.notebook}: {len(state["cells"])} cells in JupyterLab, {time.perf_counter() - start:.0f} s; pictures in {args.out}')

if __name__ == '__main__': main()
