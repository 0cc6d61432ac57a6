// The page: takes photos, hands them to the worker, and shows the answers.
import { predict, setOf } from './answer.js'
import { colourOf, drawBoxes, keep, pictureOf, share, showEarlier } from './keep.js'

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

const cards = new Map() // id -> {key, card, file, answers}

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

const isAnswered = found => !found.error && found.level !== 'none'

function showTable(table, found, most) {
  const like = found.level !== 'breed' && found.jointProbs.length
  const rows = (like ? found.jointProbs : found.probs).slice(0, most).filter(o => o[1] >= 0.01)
  const caption = document.createElement('caption')
  caption.append(word(like ? 'resembles' : 'likely'))
  table.replaceChildren(caption, ...rows.map(o => bar(...o)))
  table.hidden = rows.length < 2 && found.level === 'breed' // the headline says it
}

function numberOf(i, {species}) { // the number of an animal, in the colour of its box
  const badge = Object.assign(document.createElement('span'), {className: 'number', role: 'img', textContent: i + 1})
  badge.ariaLabel = `${word('animal_n', {n: i + 1})}:`
  badge.style.background = colourOf(species)
  return badge
}

function section(found, i, {file, answers}) { // one of the answers
  const one = $('one').content.cloneNode(true).firstElementChild, [head, below] = headline(found, file)
  one.querySelector('h2').append(...answers.length > 1 ? [numberOf(i, found), ' ', head] : [head])
  one.querySelector('.below').textContent = below
  if (isAnswered(found)) showTable(one.querySelector('table'), found, answers.length > 1 ? 3 : 5)
  return one
}

function setText(found) { // the classes that hold the right one nearly always, if they are few
  const names = isAnswered(found) && config.coverages?.length ? setOf(found, config).map(shown) : []
  return names.length && names.length <= 8 ? word('set', {p: percent(0.95), names: either(names)}) : ''
}

function showDetails(card, {file, answers}) {
  const texts = answers.map(setText), number = i => answers.length > 1 ? `${word('animal_n', {n: i + 1})}: ` : ''
  card.querySelector('.sets').replaceChildren(...texts.flatMap((text, i) => {
    return text ? [Object.assign(document.createElement('p'), {textContent: number(i) + text})] : []
  }))
  card.querySelector('summary').textContent = word('details')
  card.querySelector('.file').textContent = file.name
  card.querySelector('details').hidden = !answers.some(isAnswered)
}

function photoText({file, answers}) {
  const n = answers?.filter(o => o.box).length
  return word(n > 1 ? 'boxed_each' : n ? 'boxed' : 'photo', {file: file.name, n})
}

const inWords = ({file, answers}) => answers.map(o => {
  const [head, below] = headline(o, file)
  return {head, below, species: o.species, box: o.box}
})

function waiting(file) {
  const one = $('one').content.cloneNode(true).firstElementChild
  one.querySelector('h2').textContent = word('waiting', {file: file.name})
  return one
}

function show(entry) {
  const {card, file, answers} = entry, canvas = card.querySelector('canvas'), button = card.querySelector('.share')
  canvas.ariaLabel = photoText(entry)
  card.querySelector('.remove').ariaLabel = word('remove', {file: file.name})
  card.ariaBusy = String(!answers)
  const sections = answers ? answers.map((o, i) => section(o, i, entry)) : [waiting(file)]
  card.querySelector('.each').replaceChildren(...sections)
  const failed = answers?.[0].error
  canvas.hidden = Boolean(failed)
  Object.assign(button, {textContent: word('share'), hidden: !answers || failed})
  button.onclick = () => share(pictureOf(canvas, inWords(entry)), file.name.replace(/\.\w+$/, ''))
  if (answers) showDetails(card, entry)
}

let count = 0

function remove(id) {
  cards.get(id).card.remove()
  cards.delete(id)
  $('choose').focus()
  earlier()
}

function add(files) {
  for (const file of files) {
    const id = count++, card = $('card').content.cloneNode(true).firstElementChild
    cards.set(id, {key: `${performance.timeOrigin} ${id}`, card, file})
    card.querySelector('.remove').onclick = () => remove(id)
    show(cards.get(id))
    $('answers').prepend(card)
    worker.postMessage({id, file})
  }
}

function receive({id, error, animals, each, picture}) {
  const entry = cards.get(id)
  if (!entry) return // removed
  entry.answers = error ? [{error}] : each.map((o, i) => ({...predict(o, config), box: animals[i]?.box}))
  const said = inWords(entry)
  if (picture) {
    const canvas = entry.card.querySelector('canvas')
    draw(canvas, picture)
    drawBoxes(canvas, said)
    keep(entry.key, canvas, said)
  }
  show(entry)
  const text = said.map(({head, below}, i) => `${said.length > 1 ? `${i + 1}: ` : ''}${head}. ${below}`).join(' ')
  $('status').textContent = `${entry.file.name}: ${text}`
  document.dispatchEvent(new CustomEvent('petpoo', {detail: {file: entry.file.name, error, answers: entry.answers}}))
}

// ---- Earlier answers

function earlier() {
  const shown = new Set([...cards.values()].map(o => o.key))
  showEarlier($('earlier'), o => shown.has(o), word, () => {
    $('status').textContent = word('cleared')
    $('choose').focus()
  })
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
  else if (data.complete) navigator.serviceWorker?.register('sw.js').catch(() => {}) // or it needs the network
  else receive(data)
}

function ready() {
  $('loading').hidden = true
  $('status').textContent = word('loaded')
  document.documentElement.dataset.ready = ''
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
  earlier()
}

if (FILES['LICENSE.detector.txt']) {
  $('detector').hidden = false
  $('detector').querySelector('a').href = 'LICENSE.detector.txt'
}
$('language').append(...Object.keys(words).map(o => new Option(words[o].language, o, false, o === language)))
$('language').onchange = () => {
  language = $('language').value
  try { localStorage.setItem('language', language) } catch {} // private windows refuse it
  speak()
}
speak()
