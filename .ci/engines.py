"""Ask the static page in Firefox and in WebKit, Safari's engine, and compare it with Python: python .ci/engines.py

Both round translucent pixels once more than Chromium, so pictures with an alpha channel may differ more. Photos and ONNX Runtime Web are found as for .ci/web.py, which drives all of the page in Chromium. Needs pip install -e ".[dev,docs]", Firefox, and on Debian webkit2gtk-driver and xvfb."""
import base64, contextlib, glob, json, os, shutil, subprocess, tempfile, time, urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import websocket
from petpoo.classify.web import export_web
from petpoo.learner import MODEL
from browser import free_port
from web import MOST, bundle_of, compare, drawn_photos, package, real_photos, report, served, side_by_side, surest_first, unusual_photos

N = 4 # photos, and half as many collages
LEFT_OUT = 'turned2 turned4 turned5 turned7 turned8 xmp2 xmp4 xmp5 xmp7 xmp8'.split() # what the other orientations show as well
SECONDS = 120 # for an answer: a busy machine may stand still for a while

READY = """() => new Promise(done => {
  const look = () => document.documentElement.hasAttribute('data-ready') ? done('ready') : setTimeout(look, 20)
  look()
})"""
ASK = """(name, type, content) => new Promise(done => {
  document.addEventListener('petpoo', e => done(JSON.stringify(e.detail)), {once: true})
  const bytes = Uint8Array.from(atob(content), o => o.charCodeAt(0)), files = new DataTransfer()
  files.items.add(new File([bytes], name, {type}))
  const input = document.querySelector('#from-files')
  input.files = files.files
  input.dispatchEvent(new Event('change', {bubbles: true}))
})"""

class Firefox:
    "Speaks WebDriver BiDi."
    def __init__(self, home):
        binary, port = shutil.which('firefox') or shutil.which('firefox-esr'), free_port()
        command = [binary, '--headless', '--no-remote', '--profile', home, '--remote-debugging-port', str(port), 'about:blank']
        self.process = subprocess.Popen(command, env=dict(os.environ, HOME=home), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.socket, self.sent = patiently(lambda: websocket.create_connection(
            f'ws://127.0.0.1:{port}/session', timeout=SECONDS, suppress_origin=True)), 0
        self.name = 'Firefox ' + self.say('session.new', capabilities={})['capabilities']['browserVersion']
        self.context = self.say('browsingContext.getTree')['contexts'][0]['context']

    def say(self, method, **params):
        self.sent += 1
        self.socket.send(json.dumps(dict(id=self.sent, method=method, params=params)))
        while (answer := json.loads(self.socket.recv())).get('id') != self.sent: pass
        if answer['type'] == 'error': raise RuntimeError(answer['message'])
        return answer['result']

    def open(self, url): self.say('browsingContext.navigate', context=self.context, url=url, wait='complete')

    def run(self, function, *args):
        args = [dict(type='string', value=o) for o in args]
        target = dict(context=self.context)
        found = self.say('script.callFunction', functionDeclaration=function, arguments=args, awaitPromise=True, target=target)
        if found['type'] == 'exception': raise RuntimeError(found['exceptionDetails']['text'])
        return found['result']['value']

    def close(self): self.process.kill()

class WebKit:
    "Speaks WebDriver, to the small browser that comes with WebKitGTK."
    def __init__(self, home):
        port, browser = free_port(), glob.glob('/usr/lib/*/webkit2gtk-4*/MiniBrowser')[0]
        command = ['xvfb-run', '-a', 'WebKitWebDriver', f'--port={port}']
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        self.url = f'http://127.0.0.1:{port}/session'
        wanted = dict(alwaysMatch={'webkitgtk:browserOptions': dict(binary=browser, args=['--automation'])})
        session = patiently(lambda: self.say('', capabilities=wanted))
        self.url += '/' + session['sessionId']
        self.name = 'WebKit ' + session['capabilities']['browserVersion']
        self.say('/timeouts', script=1000*SECONDS)

    def say(self, what, **params):
        asked = urllib.request.Request(self.url + what, json.dumps(params).encode(), {'content-type': 'application/json'})
        with urllib.request.urlopen(asked, timeout=2*SECONDS) as answer: return json.load(answer)['value']

    def open(self, url): self.say('/url', url=url)

    def run(self, function, *args):
        script = f'const done = arguments[arguments.length - 1]; ({function})(...arguments).then(done)'
        return self.say('/execute/async', script=script, args=args)

    def close(self): os.killpg(self.process.pid, 9)

def patiently(connect):
    "What `connect` returns, once the browser has started."
    for _ in range(60):
        with contextlib.suppress(OSError): return connect()
        time.sleep(1)
    return connect()

class Visit:
    "A page in a browser; `ask` as for .ci/web.py."
    def __init__(self, browser, url):
        self.browser = browser
        browser.open(url)
        browser.run(READY)

    def ask(self, photo):
        began, ending = time.perf_counter(), photo.suffix[1:]
        kind = f'image/{dict(jpg="jpeg").get(ending, ending)}'
        found = self.browser.run(ASK, photo.name, kind, base64.b64encode(photo.read_bytes()).decode())
        return dict(error=None) | json.loads(found), time.perf_counter() - began

def check(engine, url, clf, photos):
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as home:
        browser = engine(home)
        try: rows = compare(Visit(browser, url), clf, photos)
        finally: browser.close()
    report(browser.name, rows)
    for name, most, same, *_ in rows:
        assert same and most < MOST*(3 if 'alpha' in name else 1), f'{browser.name} answers {name} in another way'

def main():
    with tempfile.TemporaryDirectory() as work:
        work = Path(work)
        site = export_web(MODEL, work/'site', package())
        clf = bundle_of(site, work/'bundle')
        (work/'photos').mkdir()
        photos = (real_photos() or surest_first(clf, drawn_photos(work/'photos')))[:N]
        pairs = [side_by_side(photos[i:i + 2], work/'photos'/f'pair{i}.jpg') for i in range(0, N, 2)]
        unusual = [o for o in unusual_photos(work/'photos', photos[0]) if o.stat().st_size < 2**20 and o.stem not in LEFT_OUT]
        with served(site) as url, ThreadPoolExecutor() as pool:
            for o in [pool.submit(check, engine, url, clf, [*photos, *pairs, *unusual]) for engine in (Firefox, WebKit)]: o.result()

if __name__ == '__main__': main()
