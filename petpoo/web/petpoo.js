// The page: takes photos, hands them to the worker, and shows the answers.
import { predict, setOf } from './answer.js'

const $ = id => document.getElementById(id)
const [config, words] = await Promise.all(['config.json', 'words.json'].map(async o => (await fetch(o)).json()))
const kinds = [...new Set(Object.values(config.species))].filter(Boolean) // 'cat' and 'dog', or nothing
const sort = kinds.length ? 'pet' : 'class'

// ---- Words

const chosen = () => { try { return localStorage.getItem('language') } catch { return null } }
let language = [chosen(), ...navigator.languages.map(o => o.split('-')[0])].find(o => o in words) ?? 'en'

const word = (key, values = {}) => words[language][key].replace(/\{(\w+)\}/g, (_, o) => values[o])
const either = names => names.length < 2 ? names.join() : names.slice(0, -1).join(', ') + word('join') + names.at(-1)
const animal = (kind, form) => words[language].animals[kind][form]
const upper = text => text.charAt(0).toUpperCase() + text.slice(1)

function percent(p) {
  const show = o => new Intl.NumberFormat(language, {style: 'percent'}).format(o)
  if (p > 0.995) return word('over', {p: show(0.99)})
  return p < 0.005 ? word('under', {p: show(0.01)}) : show(p)
}

function shown(name) { // a class as a person reads it
  if (name === 'domestic_shorthair' || name === 'domestic_longhair') return word('no_breed')
  return name.replace(/[_\s]+/g, ' ').trim().replace(/(^|\s)\p{Ll}/gu, o => o.toUpperCase())
}

function coatWords(kind, coat) {
  if (coat === 'hairless') return upper(word('hairless', {animal: animal(kind, 0)}))
  const parts = coat.split(', ').map(o => words[language].coats[o] ?? o)
  return upper(word('coat', {animal: animal(kind, 0), coat: parts.join(', ')}))
}

// ---- An answer in words

function resembled({jointProbs, probs}) { // one sentence; empty if the animal looks like nothing in particular
  const sums = new Map()
  for (const [name, p] of jointProbs) sums.set(shown(name), (sums.get(shown(name)) ?? 0) + p)
  const names = [...sums].sort((a, b) => b[1] - a[1]).slice(0, 2).filter(o => o[1] >= 0.2).map(o => o[0])
  const tested = new Set(probs.map(o => shown(o[0])))
  const untested = names.every(o => !tested.has(o) && o !== word('no_breed'))
  return names.length ? word(untested ? 'looks_untested' : 'looks', {names: either(names)}) : ''
}

function likely({probs, jointProbs, species}) {
  if (jointProbs.length) return ''
  const names = probs.slice(0, 3).filter(([o, p]) => p >= 0.1 && config.species[o] === species).map(([o]) => shown(o))
  return names.length ? word('could', {names: either(names)}) : ''
}

function none() {
  const {dative} = words[language], names = kinds.map(o => dative?.[o] ?? animal(o, 1))
  return [word(`none_${sort}`, {an_animal: either(names)}), word(`again_${sort}`)]
}

function reason(error) {
  const key = {unreadable: 'try_jpeg', large: 'large', numbers: 'numbers'}[error]
  return key ? word(key) : word('failed', {why: error})
}

function headline(found, file) { // the answer, and one sentence below it
  if (found.error) return [word('unanswered', {file: file.name}), reason(found.error)]
  const {level, species, coat, label, probs} = found
  if (level === 'none') return none()
  if (level === 'breed') return [shown(label), word('sure', {p: percent(probs.find(o => o[0] === label)[1])})]
  const below = resembled(found) || likely(found) || word(`many_${sort}`)
  if (level === 'coat') return [coatWords(species, coat), below]
  return [species ? word('species', {an_animal: animal(species, 1)}) : word('unsure'), below]
}

// ---- Cards

const cards = new Map() // id -> {card, file, found}

function draw(canvas, {width, height, data}) {
  Object.assign(canvas, {width, height})
  canvas.getContext('2d').putImageData(new ImageData(data, width, height), 0, 0)
}

function bar(name, p) {
  const row = document.createElement('tr'), cell = (tag, text) => row.appendChild(document.createElement(tag)).append(text)
  const meter = document.createElement('div'), kind = config.species[name] ?? config.coats?.[name]?.species
  meter.className = `bar ${kind}`
  meter.style.width = `${100*p}%`
  cell('th', upper(shown(name)))
  cell('td', meter)
  cell('td', percent(p))
  return row
}

function showDetails(card, found) {
  const like = found.level !== 'breed' && found.jointProbs.length
  const rows = (like ? found.jointProbs : found.probs).slice(0, 5).filter(o => o[1] >= 0.01)
  const caption = document.createElement('caption'), table = card.querySelector('table')
  caption.append(word(like ? 'resembles' : 'likely'))
  table.replaceChildren(caption, ...rows.map(o => bar(...o)))
  table.hidden = rows.length < 2 && found.level === 'breed' // the headline says it
  const names = config.coverages?.length ? setOf(found, config).map(shown) : []
  const few = names.length && names.length <= 8
  card.querySelector('.set').textContent = few ? word('set', {p: percent(0.95), names: either(names)}) : ''
}

function show({card, file, found}) {
  card.querySelector('summary').textContent = word('details')
  card.querySelector('canvas').ariaLabel = word('photo', {file: file.name})
  card.querySelector('.remove').ariaLabel = word('remove', {file: file.name})
  card.querySelector('.file').textContent = file.name
  card.ariaBusy = String(!found)
  const [head, below] = found ? headline(found, file) : [word('waiting', {file: file.name}), '']
  card.querySelector('h2').textContent = head
  card.querySelector('.below').textContent = below
  card.querySelector('canvas').hidden = Boolean(found?.error)
  const answered = found && !found.error && found.level !== 'none'
  for (const o of card.querySelectorAll('table, details')) o.hidden = !answered
  if (answered) showDetails(card, found)
}

let count = 0

function add(files) {
  for (const file of files) {
    const id = count++, card = $('card').content.cloneNode(true).firstElementChild
    cards.set(id, {card, file})
    card.querySelector('.remove').onclick = () => { cards.delete(id); card.remove(); $('choose').focus() }
    show(cards.get(id))
    $('answers').prepend(card)
    worker.postMessage({id, file})
  }
}

function receive({id, error, outputs, picture}) {
  const entry = cards.get(id)
  if (!entry) return // removed
  entry.found = error ? {error} : predict(outputs, config)
  if (picture) draw(entry.card.querySelector('canvas'), picture)
  show(entry)
  $('status').textContent = `${entry.file.name}: ${headline(entry.found, entry.file).join('. ')}`
  document.dispatchEvent(new CustomEvent('petpoo', {detail: {file: entry.file.name, ...entry.found}}))
}

// ---- The worker

const worker = new Worker('worker.js', {type: 'module'})
const total = FILES['ort.wasm.bin'].bytes + FILES['model.onnx.bin'].bytes

function fail(why) {
  $('loading').hidden = true
  Object.assign($('failed'), {hidden: false, textContent: word('failed', {why})})
}

worker.onerror = e => fail(e.message ?? 'worker.js')
worker.onmessage = ({data}) => {
  if (data.loaded) $('progress').value += data.loaded/total
  else if (data.failed) fail(data.failed)
  else if (data.ready) ready()
  else receive(data)
}

function ready() {
  $('loading').hidden = true
  $('status').textContent = word('loaded')
  document.documentElement.dataset.ready = ''
  navigator.serviceWorker?.register('sw.js').catch(() => {}) // without it, the page needs the network
}

// ---- Photos come from the camera, a file dialog, the clipboard, or by drag and drop

const images = files => [...files].filter(o => o.type.startsWith('image/') || !o.type)

for (const [button, input] of [['camera', 'from-camera'], ['choose', 'from-files']]) {
  $(button).onclick = () => $(input).click()
  $(input).onchange = () => { add($(input).files); $(input).value = '' }
}
addEventListener('paste', e => add(images(e.clipboardData.files)))
addEventListener('dragover', e => { e.preventDefault(); $('drop').classList.add('over') })
addEventListener('dragleave', () => $('drop').classList.remove('over'))
addEventListener('drop', e => { e.preventDefault(); $('drop').classList.remove('over'); add(images(e.dataTransfer.files)) })

// ---- Language

function speak() {
  document.documentElement.lang = language
  for (const o of document.querySelectorAll('[data-word]')) o.textContent = word(o.dataset.word)
  document.title = $('title').textContent = word(`page_${sort}`)
  $('lead').textContent = word(`lead_${sort}`, {animals: either(kinds.map(o => animal(o, 0)))})
  $('made').textContent = word('made', {n: config.classes.length, arch: config.arch})
  cards.forEach(show)
}

$('language').append(...Object.keys(words).map(o => new Option(words[o].language, o, false, o === language)))
$('language').onchange = () => {
  language = $('language').value
  try { localStorage.setItem('language', language) } catch {} // private windows refuse it
  speak()
}
speak()
