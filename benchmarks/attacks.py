"""Attack a page that really runs, on 127.0.0.1; write results/attacks.csv.

    python benchmarks/attacks.py [--only NAME ...]

Each attack has a server of its own with a toy classifier and a limit of 1,024 open files. Meanwhile a bystander asks
for the breed of a small photo five times a second, each time on a new connection; the table has the slowest of these
answers. An attack fails if its outcome differs from the expected one, or if the bystander waits for two seconds. Every
loop is bounded, and nothing leaves the machine. With --only the rows of other attacks stay. The exit code is 1 if an
attack fails."""
import argparse, contextlib, io, itertools, json, os, re, resource, signal, socket
import subprocess, sys, tempfile, threading, time
from collections import Counter
from pathlib import Path
import httpx
import pandas as pd
from PIL import Image
from petpoo.core import environment
from petpoo.sample.toys import toy_bundle

OUT = Path(__file__).parent.parent/'results'/'attacks.csv'
FILES, PATIENCE = 1024, 2000 # open files of the server, and milliseconds of a bystander
SERVER = 'import sys; from petpoo.serve.app import serve; serve(sys.argv[1], port=0, feedback=sys.argv[2])'
CORRECT, ASK, LOOK, CHOOSE, MANY = range(5) # the page's events
NUMBER = {ASK: [], LOOK: [None]} # what an event gets besides the photo
ATTACKS = {}

def attack(expected):
    "Register an attack, which returns how many things it tried, and the outcome."
    def register(f):
        ATTACKS[f.__name__] = f, expected
        return f
    return register

def png(colour='red', size=(60, 40)):
    buffer = io.BytesIO()
    Image.new('RGB', size, colour).save(buffer, 'PNG')
    return buffer.getvalue()

class Page:
    "A server with few files, a folder of secrets beside it, and a temporary folder of its own."
    def __init__(self, home=None):
        self.home = home or Path(tempfile.mkdtemp(prefix='petpoo-attacks-'))
        for o in ('tmp', 'desk'): (self.home/o).mkdir(exist_ok=True)
        if not (self.home/'toy').exists(): toy_bundle(self.home/'toy')
        self.process = self.start()
        self.port = int(re.search(r':(\d+) ', self.process.stdout.readline())[1])
        self.url = f'http://127.0.0.1:{self.port}'
        wait_until(self.healthy, 60)

    def start(self):
        def limit(): resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, FILES))
        words = [sys.executable, '-c', SERVER, str(self.home/'toy'), str(self.home/'feedback')]
        env = os.environ | dict(TMPDIR=str(self.home/'tmp'))
        return subprocess.Popen(
            words, cwd=self.home/'desk', env=env, stdout=subprocess.PIPE, stderr=open(self.home/'log', 'a'), text=True,
            preexec_fn=limit)

    def healthy(self):
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f'{self.url}/health', timeout=1).status_code == 200

    def connect(self, sent=b'', buffer=None):
        s = socket.socket()
        if buffer: s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        s.settimeout(20)
        s.connect(('127.0.0.1', self.port))
        s.sendall(sent)
        return s

    def uploads(self): return list((self.home/'tmp').glob('petpoo-uploads-*'))

    def stop(self, with_signal=signal.SIGTERM):
        "Seconds until it is gone, and its exit code."
        began = time.perf_counter()
        self.process.send_signal(with_signal)
        try: self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        return time.perf_counter() - began, self.process.returncode

def wait_until(true, seconds):
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end: raise TimeoutError
        time.sleep(0.1)

class Visitor:
    "A browser's visit: uploads, asks as the page does, reads the answer."
    def __init__(self, page):
        self.client = httpx.Client(base_url=page.url, timeout=30)
        self.client.get('/')

    def upload(self, data):
        return self.client.post('/gradio_api/upload', files=dict(files=('rex.jpg', data))).json()[0]

    def join(self, event, data, session='s', **more):
        body = dict(fn_index=event, session_hash=session, data=data) | more
        return self.client.post('/gradio_api/queue/join', json=body)

    def ask(self, event, data, **more):
        "The outputs of an event, or the status of a refusal."
        sent = self.join(event, data, **more)
        if sent.status_code != 200: return sent.status_code
        with self.client.stream('GET', '/gradio_api/queue/data', params=dict(session_hash='s')) as stream:
            for line in stream.iter_lines():
                said = json.loads(line.removeprefix('data: ')) if line else {}
                if said.get('msg') != 'process_completed': continue
                return json.dumps(said['output'].get('data', said['output'].get('error')))

ASKS = """
import http.client, json, select, sys, time
port, path, photo = int(sys.argv[1]), sys.argv[2], bytes.fromhex(sys.argv[3])
worst, wrong = 0, {}
print('ready', flush=True)
while not select.select([sys.stdin], [], [], 0.2)[0]:
    began = time.perf_counter()
    try:
        c = http.client.HTTPConnection('127.0.0.1', port, timeout=30)
        c.request('POST' if 'api' in path else 'GET', path, photo if 'api' in path else None)
        said = c.getresponse().status
        c.close()
    except (OSError, http.client.HTTPException) as e: said = type(e).__name__
    if said != 200: wrong[said] = wrong.get(said, 0) + 1
    worst = max(worst, (time.perf_counter() - began)*1000)
print(json.dumps([worst, wrong]), flush=True)
"""

class Bystander:
    "A process that asks all the time: `worst` is its slowest answer in milliseconds, `wrong` counts failures."
    def __init__(self, page, path='/api/predict'):
        words = [sys.executable, '-c', ASKS, str(page.port), path, png('blue').hex()]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.process.stdout.readline()
        self.worst, self.wrong = 0., {}

    def stop(self):
        if self.process.poll() is not None: return
        self.worst, self.wrong = json.loads(self.process.communicate('stop\n', timeout=60)[0])

    def __enter__(self): return self
    def __exit__(self, *_): self.stop()

def file(path, **more): return dict(path=path, meta={'_type': 'gradio.FileData'}) | more

def names_of(page, owner):
    "Ways to name a file of the server, or another visitor's photo."
    secret, link, pipe = page.home/'desk'/'secret.png', page.home/'desk'/'link.png', page.home/'desk'/'pipe.jpg'
    secret.write_bytes(png('blue'))
    if not link.is_symlink(): link.symlink_to(secret)
    if not pipe.exists(): os.mkfifo(pipe)
    theirs = owner.upload(png('blue'))
    (folder,) = page.uploads()
    return [
        str(secret), 'secret.png', './secret.png', '../desk/secret.png', f'file://{secret}', f'file:{secret}',
        str(secret).replace('/', '\\'), '/proc/self/cwd/secret.png', f'/proc/{page.process.pid}/root{secret}',
        str(link), str(pipe), '/dev/zero', '/dev/stdin', '/etc/passwd', '/proc/self/environ', str(page.home),
        str(page.home/'nothing'), '~/secret.png', '', '.', '-'*32, 'é'*32, secret.name + '\0.png',
        f'{page.url}/health', 'http://127.0.0.1:1/x.png', 'data:image/png;base64,AAAA', theirs, f'{folder}/{theirs}',
        f'{folder}/.lock', f'{theirs}/', f'./{theirs}', None, 3, True, [str(secret)], dict(path=str(secret))]

def ways_to_give(name):
    "What an event may get for a file of that name; one name stands for all with what Gradio may add to it."
    if name != 'secret.png': return [file(name), name]
    extras = [
        {}, dict(url=name), dict(url=f'file://{name}'), dict(is_stream=True), dict(is_file=True),
        dict(orig_name='../../x.jpg', size=-1), dict(meta={'_type': 'other'}),
        dict(mime_type='image/svg+xml', alt_text='x')]
    return [o for e in extras for o in (file(name, **e), [file(name, **e)], dict(value=file(name, **e)))]

@attack('one answer, the same for all')
def paths(page):
    owner, thief = Visitor(page), Visitor(page)
    answers, tried = {ASK: Counter(), LOOK: Counter()}, 0
    for name in names_of(page, owner):
        for event, data in itertools.product((ASK, LOOK), ways_to_give(name)):
            if data is None: continue
            answers[event][thief.ask(event, [data, *NUMBER[event]])] += 1
            tried += 1
    kinds = [set(o) for o in answers.values()]
    good = all(len(o) == 1 and 'no longer available' in next(iter(o)) for o in kinds)
    return tried, 'one answer, the same for all' if good else f'{sum(map(len, kinds))} answers: {kinds}'[:300]

@attack('no breed')
def paths_in_a_list(page):
    owner, thief = Visitor(page), Visitor(page)
    names = names_of(page, owner)
    said = thief.ask(MANY, [[file(o) for o in names]])
    refused = said.count('no longer available') == len(names) and 'Pug' not in said
    return len(names), 'no breed' if refused else said[:300]

@attack('nothing kept')
def corrections(page):
    "Others' photos and files, and consent that is none."
    owner, thief = Visitor(page), Visitor(page)
    names, own = names_of(page, owner), owner.upload(png())
    consents = 'false', 'true', 'True', 1, 1.0, None, [True], dict(value=True), 'on'
    breeds = '../../x', '', None, 1, ['pug'], dict(value='pug'), 'muffin'
    tried = [thief.ask(CORRECT, [file(o), 'pug', True, None]) for o in names]
    tried += [owner.ask(CORRECT, [file(own), 'pug', o, None]) for o in consents]
    tried += [owner.ask(CORRECT, [file(own), o, True, None]) for o in breeds]
    tried += [owner.ask(CORRECT, [file(own), 'pug', True, o]) for o in ('2', '0', '-1', 'x', True)]
    kept = [o for o in (page.home/'feedback').rglob('*') if o.suffix != '.sqlite']
    good = not kept and not any('Thank you' in str(o) for o in tried)
    return len(tried), 'nothing kept' if good else f'{len(kept)} kept'

def event(fn_index=ASK, data=(None,), session_hash='s'): # the body of a request, with one thing wrong
    return dict(fn_index=fn_index, data=list(data), session_hash=session_hash)

MALFORMED = [
    b'', b'{', b'[]', b'null', b'['*10**5, b'{"data":' + b'['*10**5, b'\xff\xfe',
    *[json.dumps(o).encode() for o in (
        {}, dict(fn_index=ASK), event(99), event('1'), event(-1), event(data=[]), event(data=[None]*9),
        event(session_hash='../x'), event(session_hash=['s']), event(session_hash='x'*999))]]

@attack('refused')
def malformed_events(page):
    visitor, headers = Visitor(page), {'content-type': 'application/json'}
    def status(body):
        return visitor.client.post('/gradio_api/queue/join', content=body, headers=headers).status_code
    got = Counter(map(status, MALFORMED))
    return len(MALFORMED), 'refused' if set(got) == {400} else str(dict(got))

NEEDED = {
    '/', '/theme.css', '/gradio_api/queue/join', '/gradio_api/queue/data', '/gradio_api/upload',
    '/gradio_api/upload_progress', '/favicon.ico'}
OLDER = [ # routes of other versions of Gradio, and files asked for by name
    ('POST', '/call/ask'), ('POST', '/run/ask'), ('POST', '/api/ask'), ('GET', '/proxy=http://127.0.0.1/'),
    ('POST', '/component_server'), ('POST', '/stream/x'), ('GET', '/stream/s/0/1/playlist.m3u8'),
    ('POST', '/cancel'), ('POST', '/reset'), ('GET', '/heartbeat/s'), ('GET', '/file/etc/passwd'),
    ('GET', '/file=/etc/passwd'), ('GET', '/info'), ('POST', '/process_recording'), ('GET', '/vibe-code'),
    ('GET', '/deep_link')]
OUTSIDE = [ # files outside the assets
    '/assets/%2e%2e/%2e%2e/routes.py', '/static/..%2f..%2froutes.py', '/assets/..\\routes.py', '/static//etc/passwd',
    '//etc/passwd', '/assets/%00']

def flat(routes, prefix=''):
    "Method and path of each route, those of mounted apps included."
    for o in routes:
        inner = getattr(o, 'original_router', None) or getattr(o, 'app', None)
        if hasattr(o, 'methods') and o.methods: yield from ((m, prefix + o.path) for m in o.methods)
        elif hasattr(inner, 'routes'): yield from flat(inner.routes, prefix + getattr(o, 'path', ''))

def routes_of_gradio():
    "As the installed version has them."
    import gradio
    from fastapi import FastAPI
    with gradio.Blocks() as blocks: gradio.HTML('')
    return set(flat(gradio.mount_gradio_app(FastAPI(), blocks, path='/').routes[-1].app.routes))

@attack('none exists')
def gradio_routes(page):
    "Every route of Gradio that the page does not need."
    known = routes_of_gradio() | {(m, f'/gradio_api{p}') for m, p in OLDER}
    got, visitor = Counter(), Visitor(page)
    for method, path in sorted(known):
        path = re.sub(r'{[^}]*}', 'x', path)
        if path in NEEDED or re.fullmatch(r'/(assets|static)/.*', path): continue
        r = visitor.client.request(method, path)
        got[r.status_code] += 1
        if r.status_code != 404: print(' ', method, path, r.status_code)
    for path in OUTSIDE: got[visitor.client.get(path).status_code] += 1
    return got.total(), 'none exists' if set(got) == {404} else str(dict(got))

def foreign_headers(port):
    "What a browser says of requests from other pages."
    origins = 'http://evil.example', 'null', f'http://127.0.0.1:{port}.evil.example', f'http://localhost:{port}'
    sites = 'cross-site', 'same-site'
    return [dict(origin=o) for o in origins] + [{'sec-fetch-site': o} for o in sites]

HOSTS = [
    'evil.example', 'evil.example:{port}', '127.0.0.1.evil.example', 'localhost.evil.example', '10.0.0.1', '0.0.0.0',
    'pets']

def sent_from_elsewhere(client, headers):
    "Status of each request that a page from elsewhere can make a browser send."
    data = dict(fn_index=ASK, session_hash='s', data=[None])
    yield client.post('/gradio_api/queue/join', json=data, headers=headers).status_code
    yield client.post('/api/predict', content=png(), headers=headers).status_code
    yield client.post('/gradio_api/upload', files=dict(files=('a.jpg', b'x')), headers=headers).status_code

def shuts_out_pages(client):
    "No other page may frame this one or read its answers."
    headers = client.get('/', headers=dict(origin='http://evil.example')).headers
    if any(o.startswith('access-control') for o in headers): return False
    return headers.get('x-frame-options') == 'DENY' and "frame-ancestors 'none'" in headers['content-security-policy']

@attack('refused')
def foreign(page):
    "Requests from a page elsewhere, and host names that are not this server's."
    client, got = Visitor(page).client, []
    for headers in foreign_headers(page.port): got += [(o, 403) for o in sent_from_elsewhere(client, headers)]
    for host in HOSTS:
        headers = dict(host=host.format(port=page.port))
        for path in ('/', '/health', '/gradio_api/queue/data?session_hash=s'):
            got.append((client.get(path, headers=headers).status_code, 421))
    got.append((shuts_out_pages(client), True))
    return len(got), 'refused' if all(a == b for a, b in got) else str(Counter(got))

LENGTHS = [
    b'Transfer-Encoding: chunked\r\n', b'', b'Content-Length: 99999999999\r\n', b'Content-Length: -1\r\n',
    b'Content-Length: 1\r\nContent-Length: 2\r\n']

@attack('refused')
def sizes(page):
    got, paths = [], (b'/api/predict', b'/gradio_api/upload', b'/gradio_api/queue/join')
    for length, path in itertools.product(LENGTHS, paths):
        s = page.connect(b'POST ' + path + b' HTTP/1.1\r\nHost: localhost\r\n' + length + b'\r\n')
        got.append(s.recv(99).split(b' ')[1].decode())
        s.close()
    return len(got), 'refused' if set(got) <= {'400', '411', '413'} else str(Counter(got))

def held(page, sockets, seconds):
    "Keep connections for a while."
    time.sleep(seconds)
    for o in sockets: o.close()

@attack('others are answered')
def idle_connections(page):
    sockets = []
    for _ in range(1100):
        with contextlib.suppress(OSError): sockets.append(page.connect())
    held(page, sockets, 5)
    return 1100, 'others are answered'

@attack('closed by the server')
def half_heads(page):
    sockets = [page.connect(b'POST /api/predict HTTP/1.1\r\nHost: localhost\r\nX: ') for _ in range(50)]
    return dribble(sockets, b'x', 16)

@attack('closed by the server')
def half_bodies(page):
    head = b'POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 20000000\r\n\r\n'
    return dribble([page.connect(head) for _ in range(50)], b'x'*10, 20)

UPLOAD = b"""POST /gradio_api/upload HTTP/1.1
Host: localhost
Content-Length: %d
Content-Type: multipart/form-data; boundary=x

""".replace(b'\n', b'\r\n')

@attack('closed by the server')
def half_uploads(page):
    head = UPLOAD % 20_000_000
    start = b'--x\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    return dribble([page.connect(head + start) for _ in range(50)], b'x'*10, 20)

def dribble(sockets, drop, seconds):
    "Send a little each second, and count the connections that the server keeps."
    open_ones = list(sockets)
    for _ in range(seconds):
        time.sleep(1)
        for o in list(open_ones):
            try: o.sendall(drop)
            except OSError: open_ones.remove(o)
    for o in sockets: o.close()
    return len(sockets), 'closed by the server' if not open_ones else f'{len(open_ones)} still open'

def rest_of(s):
    "Read a connection to its end; returns the bytes."
    got = 0
    with contextlib.suppress(OSError):
        while block := s.recv(2**20): got += len(block)
    s.close()
    return got

@attack('closed by the server')
def slow_readers(page):
    import gradio
    folder = Path(gradio.__file__).parent/'templates'/'frontend'/'assets'
    assets = max(folder.glob('*.js'), key=lambda o: o.stat().st_size)
    ask = f'GET /assets/{assets.name} HTTP/1.1\r\nHost: localhost\r\n\r\n'.encode()
    sockets = [page.connect(ask, buffer=4096) for _ in range(50)]
    for _ in range(26):
        time.sleep(1)
        for o in sockets:
            with contextlib.suppress(OSError): o.recv(10)
    size = assets.stat().st_size
    cut = sum(rest_of(o) < size for o in sockets)
    return 50, 'closed by the server' if cut == 50 else f'{50 - cut} got all {size:,} bytes'

@attack('answered or told that it is busy')
def flood(page):
    "400 photos at once."
    got, photo = Counter(), png('red', (2000, 1500))
    def one():
        try: got[httpx.post(f'{page.url}/api/predict', content=photo, timeout=60).status_code] += 1
        except httpx.HTTPError as e: got[type(e).__name__] += 1
    crowd = [threading.Thread(target=one) for _ in range(400)]
    for o in crowd: o.start()
    for o in crowd: o.join()
    return 400, 'answered or told that it is busy' if set(got) <= {200, 503} and got[200] else str(dict(got))
flood.bystander = '/health' # its photo would be told that the server is busy, like the others

@attack('bounded')
def explanations(page):
    "200 explanations that nobody waits for."
    visitor = Visitor(page)
    own = visitor.upload(png('red', (800, 600)))
    got = Counter(visitor.join(LOOK, [file(own), None], session=f's{i}').status_code for i in range(200))
    return 200, 'bounded' if set(got) <= {200, 503} else str(dict(got))

@attack('not begun')
def those_who_left(page):
    "60 large photos whose senders hang up."
    photo = png('red', (5000, 4000))
    head = f'POST /api/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(photo)}\r\n\r\n'.encode()
    began = time.perf_counter()
    httpx.post(f'{page.url}/api/predict', content=photo, timeout=60)
    one = time.perf_counter() - began
    sockets = [page.connect(head + photo) for _ in range(60)]
    time.sleep(0.2)
    for o in sockets: o.close()
    began = time.perf_counter()
    httpx.post(f'{page.url}/api/predict', content=photo, timeout=60)
    took = time.perf_counter() - began
    return 60, 'not begun' if took < one*20 else f'the next answer took {took:.1f} s, one alone {one:.1f} s'

def stream_of(visitor):
    "The request for a visitor's answers."
    cookie = '; '.join(f'{k}={v}' for k, v in visitor.client.cookies.items())
    path = '/gradio_api/queue/data?session_hash=s'
    return f'GET {path} HTTP/1.1\r\nHost: localhost\r\nCookie: {cookie}\r\n\r\n'.encode()

def stopped(page, with_signal):
    "A signal in the middle of a stalled upload, an open stream, and an answer."
    visitor = Visitor(page)
    own = visitor.upload(png('red', (3000, 2000)))
    upload = page.connect(UPLOAD % 999_999 + b'half')
    visitor.join(LOOK, [file(own), None])
    stream, photo, got = page.connect(stream_of(visitor)), png('blue', (3000, 2000)), []
    def ask(): got.append(httpx.post(f'{page.url}/api/predict', content=photo, timeout=30).status_code)
    asking = threading.Thread(target=ask)
    asking.start()
    time.sleep(0.05)
    seconds, code = page.stop(with_signal)
    asking.join(30)
    for o in (upload, stream): o.close()
    left = len(page.uploads())
    if seconds < 5 and code == 0 and not left and got == [200]: return 3, 'finished, gone, exit code 0'
    return 3, f'{seconds:.1f} s, exit code {code}, {left} folders left, answers {got}'

@attack('finished, gone, exit code 0')
def sigterm(page): return stopped(page, signal.SIGTERM)

@attack('finished, gone, exit code 0')
def sigint(page): return stopped(page, signal.SIGINT)

sigterm.bystander = sigint.bystander = None # the server goes away

@attack('removed by the next start, a living one left')
def kill_9(page):
    "Three killed servers with uploads, beside one that lives."
    Visitor(page).upload(png())
    (living,) = page.uploads()
    for _ in range(3):
        other = Page(page.home)
        Visitor(other).upload(png())
        other.stop(signal.SIGKILL)
    left = len(page.uploads())
    last = Page(page.home)
    now = page.uploads()
    last.stop()
    good = left == 2 and living in now and len(now) == 2 # each start removed what the kill before it had left
    return 3, 'removed by the next start, a living one left' if good else f'{left} left, then {len(now)}'

def correct(page, i):
    "Send a hundred corrections, until the server is gone; returns the number of thanks."
    thanked = 0
    with contextlib.suppress(httpx.HTTPError, ValueError, IndexError):
        visitor = Visitor(page)
        for j in range(100):
            own = visitor.upload(png((200, i, j)))
            thanked += 'Thank you' in str(visitor.ask(CORRECT, [file(own), 'pug', True, None]))
    return thanked

@attack('every photo that was thanked for has its row')
def kill_9_corrections(page):
    "Killed five times while corrections come in."
    from petpoo.serve.feedback import Feedback
    thanked = 0
    for i in range(5):
        victim = Page(page.home)
        threading.Timer(0.5 + i*0.3, victim.process.kill).start()
        thanked += correct(victim, i)
        victim.process.wait()
    rows, files = Feedback(page.home/'feedback').rows(), [o for o in (page.home/'feedback').rglob('*') if o.is_file()]
    files = [o for o in files if not o.name.startswith('feedback.sqlite')]
    good = {o['path'] for o in rows} == {str(o) for o in files} and thanked <= len(rows) <= thanked + 5
    if good: return 5, 'every photo that was thanked for has its row'
    return 5, f'{thanked} thanked, {len(rows)} rows, {len(files)} files'

def watched(attack, page, path):
    "What an attack returns, the bystander's slowest answer ('' without one), and the failures."
    if not path: return *attack(page), '', {}
    with Bystander(page, path) as bystander:
        time.sleep(0.5)
        count, outcome = attack(page)
    return count, outcome, round(bystander.worst), bystander.wrong

def run(name):
    "One row of the table."
    attack, expected = ATTACKS[name]
    page = Page()
    count, outcome, worst, wrong = watched(attack, page, getattr(attack, 'bystander', '/api/predict'))
    memory = peak_memory(page)
    if page.process.poll() is None: page.stop()
    held = outcome == expected and not wrong and (worst == '' or worst < PATIENCE)
    verdict = 'held' if held else 'FAILED'
    print(f'{name:<22} {count:>5}  {outcome[:200]:<50} bystander {worst:>6} ms {wrong or ""} {verdict}', flush=True)
    return dict(
        attack=name, count=count, expected=expected, came_back=outcome, bystander_worst_ms=worst, server_mib=memory,
        verdict=verdict, **environment(('petpoo', 'gradio', 'uvicorn', 'starlette', 'onnxruntime')))

def peak_memory(page):
    "Peak memory of the server in MiB; '' if it is gone or the system does not say."
    try: status = Path(f'/proc/{page.process.pid}/status').read_text()
    except OSError: return ''
    found = re.search(r'VmHWM:\s+(\d+)', status)
    return round(int(found[1])/1024) if found else ''

def write(row):
    "Put a row in place of an older one."
    rows = pd.read_csv(OUT).to_dict('records') if OUT.exists() else []
    rows = [o for o in rows if o['attack'] != row['attack']] + [row]
    table = pd.DataFrame(sorted(rows, key=lambda o: [*ATTACKS].index(o['attack'])))
    table.astype(dict(count=int)).to_csv(OUT, index=False)

def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--only', nargs='+', choices=ATTACKS, help='some of them; the rows of the others stay')
    args = parser.parse_args()
    rows = []
    for o in args.only or ATTACKS:
        rows.append(run(o))
        write(rows[-1])
    if failed := [o['attack'] for o in rows if o['verdict'] != 'held']: sys.exit(f'failed: {", ".join(failed)}')

if __name__ == '__main__': main()
