// The behaviour of a report: sorted tables, paged galleries, filters, large photos, decisions, a map. The page works
// without it. Texts from data reach the page by textContent alone, and nothing is fetched.
'use strict'
const data = JSON.parse(document.getElementById('data').textContent)
const items = data.items || []
const all = (css, at = document) => [...at.querySelectorAll(css)]
function make(tag, facts = {}, ...children) {
  const o = document.createElement(tag)
  for (const [k, v] of Object.entries(facts)) {
    if (k === 'click') o.addEventListener('click', v)
    else if (k in o) o[k] = v
    else o.setAttribute(k, v)
  }
  o.append(...children)
  return o
}
const svg = (tag, facts) => {
  const o = document.createElementNS('http://www.w3.org/2000/svg', tag)
  for (const [k, v] of Object.entries(facts)) o.setAttribute(k, v)
  return o
}

// Tables: a click on a header sorts, a second one reverses
function cellValue(row, k) {
  const text = row.cells[k].textContent.trim(), number = text.replace(/,/g, '').match(/^-?\d+(\.\d+)?(e-?\d+)?/)
  return number ? Number(number[0]) : text.toLowerCase()
}
function sortBy(head, k) {
  const body = head.closest('table').tBodies[0], number = body.rows[0].cells[k].classList.contains('n')
  const down = head.ariaSort ? head.ariaSort === 'ascending' : number
  const order = (a, b) => typeof a === 'number' && typeof b === 'number' ? a - b : String(a).localeCompare(String(b))
  const rows = [...body.rows].map(row => [cellValue(row, k), row])
  rows.sort((a, b) => down ? order(b[0], a[0]) : order(a[0], b[0]))
  for (const o of head.parentNode.cells) o.removeAttribute('aria-sort')
  head.setAttribute('aria-sort', down ? 'descending' : 'ascending')
  body.append(...rows.map(o => o[1]))
}
for (const table of all('table')) {
  if (!table.tHead || table.tBodies[0].rows.length < 3) continue
  for (const [k, head] of [...table.tHead.rows[0].cells].entries()) {
    if (!head.textContent) continue
    const button = make('button', {type: 'button', textContent: head.textContent, click: () => sortBy(head, k)})
    head.replaceChildren(button)
  }
}

// Galleries: a page of cards at a time, of the chosen class
const wanted = {kind: '', class: ''}
const labelsOf = card => all('[data-item]', card).map(o => items[o.dataset.item].label)
function fill(gallery) {
  const cards = [...gallery.children].filter(o => !wanted.class || labelsOf(o).includes(wanted.class))
  for (const o of gallery.children) o.hidden = true
  for (const o of cards.slice(0, gallery.shown)) o.hidden = false
  const left = cards.length - gallery.shown
  gallery.more.hidden = left <= 0
  gallery.more.textContent = `Show ${Math.min(left, gallery.step)} more of ${left}`
  return cards.length
}
const galleries = all('[data-page]')
for (const o of galleries) {
  o.step = o.shown = Number(o.dataset.page)
  o.more = make('button', {type: 'button', className: 'more', click: () => { o.shown += o.step; fill(o) }})
  o.after(o.more)
  fill(o)
}
window.addEventListener('beforeprint', () => galleries.forEach(o => { o.was = o.shown; o.shown = 1e9; fill(o) }))
window.addEventListener('afterprint', () => galleries.forEach(o => { o.shown = o.was; fill(o) }))

const option = (value, textContent = value) => make('option', {value, textContent})
function choose(what, names, name) {
  const select = make('select', {ariaLabel: name})
  select.append(option('', `all ${name}`), ...names.map(o => option(o)))
  select.addEventListener('change', () => { wanted[what] = select.value; filter() })
  return select
}
function filter() {
  for (const section of all('section[data-kind]')) {
    const found = all('[data-page]', section).map(fill)
    section.hidden = wanted.kind && section.dataset.kind !== wanted.kind || wanted.class && !found.some(o => o)
  }
  if (window.colourMap) colourMap()
}
const kinds = all('section[data-kind]').map(o => o.dataset.kind)
const tools = document.getElementById('filters')
if (tools && kinds.length) tools.append(
  'Show', choose('kind', kinds, 'kinds'), 'of', choose('class', data.classes, 'classes'))

// A photo opens large, with the photos that are most alike
const dialog = make('dialog'), sprite = document.getElementById('sprite')
document.body.append(dialog)
dialog.addEventListener('click', e => { if (e.target === dialog) dialog.close() })
const place = {}
if (data.map) data.map.item.forEach((item, i) => { place[item] = i })
function tile(i) {
  const side = data.map.side, c = make('canvas', {width: side, height: side})
  const x = i % data.map.columns*side, y = Math.floor(i/data.map.columns)*side
  sprite.decode().then(() => c.getContext('2d').drawImage(sprite, x, y, side, side, 0, 0, side, side))
  return c
}
const photoOf = item => all(`[data-item="${item}"] img.photo`)[0]
function facts(o) {
  const predicted = o.predicted ? `, predicted ${o.predicted}` : ''
  return `${o.name} (${o.label}${predicted})${o.issues ? ': ' + o.issues.replaceAll('_', ' ') : ''}`
}
function open(item, img) { // `item` is undefined for a photo without one
  const o = items[item], i = place[item]
  const text = data.actions && o ? facts(o) : img.closest('figure').querySelector('figcaption').textContent
  const close = make('button', {type: 'button', textContent: 'Close', autofocus: true, click: () => dialog.close()})
  const twins = img ? all('img.photo', img.closest('.card') || img.parentNode) : []
  const pictures = twins.map(o => make('img', {src: o.src, alt: o.alt, className: o === img ? 'chosen' : ''}))
  if (!img && i !== undefined) pictures.push(tile(i))
  dialog.replaceChildren(make('p', {className: 'tools'}, close, text), make('div', {className: 'large'}, ...pictures))
  if (o && data.actions) dialog.append(buttons(item))
  if (i !== undefined && data.map) dialog.append(make('h3', {textContent: 'Photos like this one'}), alike(i))
  if (!dialog.open) dialog.showModal()
  if (data.actions) show()
}
function alike(i) {
  return make('div', {className: 'alike'}, ...data.map.near[i].map(k => {
    const o = items[data.map.item[k]], to = () => open(data.map.item[k], photoOf(data.map.item[k]))
    return make('figure', {}, make('button', {type: 'button', ariaLabel: o.name, click: to}, tile(k)),
                make('figcaption', {}, make('b', {textContent: o.label}), ' ' + o.name))
  }))
}
for (const img of all('img.photo')) {
  const show = () => open(img.closest('[data-item]')?.dataset.item, img)
  img.tabIndex = 0
  img.setAttribute('role', 'button')
  img.addEventListener('click', show)
  img.addEventListener('keydown', e => { if (e.key === 'Enter' || e.key === ' ') { e.preventDefault(); show() } })
}

// Decisions: kept by item, saved as the file that `petpoo train --cleaning` reads
const marks = {}
let saved = true
function mark(item, action, label = '') {
  if (action) marks[item] = {action, label}
  else delete marks[item]
  saved = false
  show()
}
function buttons(item) {
  const o = items[item], box = make('div', {className: 'decide', 'data-mark': item})
  if (!o.path) return make('p', {className: 'quiet', textContent: 'decide in cleaning.csv: the name is not text'})
  const labels = make('select', {ariaLabel: 'new label', hidden: true})
  labels.addEventListener('change', () => mark(item, 'relabel', labels.value))
  for (const action of data.actions) {
    const press = () => mark(item, marks[item]?.action === action ? '' : action,
                             action === 'relabel' ? o.predicted || o.label : '')
    box.append(make('button', {type: 'button', textContent: action, 'data-action': action, click: press}))
  }
  box.append(labels)
  return box
}
function show() {
  for (const box of all('[data-mark]')) {
    const found = marks[box.dataset.mark] || {}, labels = box.querySelector('select')
    for (const o of all('button', box)) o.setAttribute('aria-pressed', o.dataset.action === found.action)
    labels.hidden = found.action !== 'relabel'
    if (labels.hidden) continue
    if (!labels.length) labels.append(...data.classes.map(o => option(o)))
    labels.value = found.label
  }
  const n = Object.values(marks), number = a => n.filter(o => o.action === a).length
  state.textContent = `${n.length} decisions: ` + data.actions.map(o => `${number(o)} ${o}`).join(', ') +
    (saved ? '' : ' (not saved yet)')
}
const cell = text => `"${text.replace(/"/g, '""')}"`
function cleaningCsv() {
  const rows = Object.entries(marks).filter(([k]) => items[k].path).map(([k, o]) =>
    [items[k].path, o.action, o.label, o.reason ?? (items[k].reason || ''), o.who || 'report page'])
  return [data.columns, ...rows].map(row => row.map(cell).join(',')).join('\n') + '\n'
}
function save() {
  const url = URL.createObjectURL(new Blob([cleaningCsv()], {type: 'text/csv'}))
  make('a', {href: url, download: 'cleaning.csv'}).click()
  setTimeout(() => URL.revokeObjectURL(url), 1e4)
  saved = true
  show()
}
const state = make('span', {role: 'status'})
if (data.actions) {
  for (const o of all('[data-item]')) o.append(buttons(o.dataset.item))
  for (const [k, o] of Object.entries(data.marks)) marks[k] = o
  document.body.append(make('div', {className: 'dock'}, make('button', {type: 'button', id: 'save', click: save,
    textContent: 'Save cleaning.csv'}), state, make('code', {className: 'quiet', textContent: data.next || ''})))
  window.addEventListener('beforeunload', e => { if (!saved) e.preventDefault() })
  dialog.addEventListener('click', show)
  show()
}

// The map: a point for each photo, similar photos side by side
function colours(values) {
  const names = [...new Set(values)].sort(), fixed = data.map.palette || {}
  const colour = i => `hsl(${Math.round(i*137.5) % 360} ${60 + i % 3*15}% ${48 + i % 2*10}%)`
  return new Map(names.map((o, i) => [o, fixed[o] || colour(i)]))
}
function drawMap(box) {
  const m = data.map, plane = svg('svg', {viewBox: '0 0 800 600', tabindex: 0, role: 'application', class: 'plane',
    'aria-label': 'Map of the photos: the arrow keys move between neighbours, Enter opens a photo'})
  const points = m.x.map((x, i) => svg('circle', {cx: 10 + 780*x, cy: 10 + 580*m.y[i], r: m.x.length > 1500 ? 3.5 : 5}))
  const by = make('select', {ariaLabel: 'colour by'}, ...m.by.map(o => option(o)))
  const legend = make('ul', {className: 'legend'}), about = make('div', {ariaLive: 'polite'})
  let at = 0
  window.colourMap = () => {
    const valueOf = item => String(items[item][by.value] || 'none'), number = m.ranges[by.value]
    const scale = number ? null : colours(m.item.map(valueOf))
    points.forEach((o, i) => {
      const item = items[m.item[i]], share = number && (Number(item[by.value]) - number[0])/(number[1] - number[0] || 1)
      o.setAttribute('fill', number ? `hsl(${220 - 220*share} 75% 50%)` : scale.get(valueOf(m.item[i])))
      o.classList.toggle('off', Boolean(wanted.class) && item.label !== wanted.class)
    })
    const ends = number && [[`${number[0]} (low)`, 'hsl(220 75% 50%)'], [`${number[1]} (high)`, 'hsl(0 75% 50%)']]
    const rows = ends || [...scale]
    legend.replaceChildren(...rows.map(([name, colour]) => {
      const dot = svg('svg', {viewBox: '0 0 10 10'})
      dot.append(svg('circle', {cx: 5, cy: 5, r: 5, fill: colour}))
      return make('li', {}, dot, name)
    }))
  }
  function go(i) {
    points[at].classList.remove('on')
    points[at = i].classList.add('on')
    about.replaceChildren(tile(i), make('p', {textContent: facts(items[m.item[i]])}))
  }
  const enter = () => open(m.item[at], photoOf(m.item[at]))
  points.forEach((o, i) => {
    o.addEventListener('mouseenter', () => go(i))
    o.addEventListener('click', () => { go(i); enter() })
  })
  const steps = {ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1]}
  plane.addEventListener('keydown', e => {
    if (e.key !== 'Enter' && !steps[e.key]) return
    e.preventDefault() // Enter would press the button that gets the focus
    if (e.key === 'Enter') return enter()
    const [dx, dy] = steps[e.key], far = i => {
      const along = (m.x[i] - m.x[at])*dx + (m.y[i] - m.y[at])*dy, aside = (m.x[i] - m.x[at])*dy + (m.y[i] - m.y[at])*dx
      return along > 0 ? along + 3*Math.abs(aside) : Infinity
    }
    const next = m.x.map((_, i) => far(i)), least = next.reduce((a, b) => Math.min(a, b))
    if (least < Infinity) go(next.indexOf(least))
  })
  by.addEventListener('change', colourMap)
  plane.append(...points)
  box.append(make('div', {}, make('div', {className: 'tools'}, 'Colour by', by), plane, legend), about)
  box.classList.add('map')
  colourMap()
  go(0)
}
if (data.map) drawMap(document.getElementById('plane'))
