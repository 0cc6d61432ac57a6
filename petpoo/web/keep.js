// Draws the boxes, turns an answer into a picture, and keeps the last answers in this tab. Nothing is sent anywhere.
// An answer is {head, below, species, box}: two sentences, and [left, top, right, bottom] as shares of the photo.

const COLOURS = {cat: '#e07b39', dog: '#3b6ea8'}, OTHER = '#6b7078' // as petpoo.core has them
const FONT = 'system-ui, sans-serif'
export const colourOf = species => COLOURS[species] ?? OTHER

// ---- Boxes

function drawBadge(context, text, colour, [x, y], size) {
  context.fillStyle = colour
  context.fillRect(x, y, size, size)
  Object.assign(context, {fillStyle: '#fff', font: `600 ${0.7*size}px ${FONT}`})
  Object.assign(context, {textAlign: 'center', textBaseline: 'middle'})
  context.fillText(text, x + size/2, y + 0.54*size)
}

export function drawBoxes(canvas, answers) { // a numbered box around each animal
  const context = canvas.getContext('2d'), side = Math.max(canvas.width, canvas.height), line = Math.ceil(side/140)
  const boxed = answers.filter(o => o.box)
  boxed.forEach(({box, species}, i) => {
    const [left, top, right, bottom] = box.map((o, k) => o*(k % 2 ? canvas.height : canvas.width))
    Object.assign(context, {strokeStyle: colourOf(species), lineWidth: line})
    context.strokeRect(left + line/2, top + line/2, Math.max(0, right - left - line), Math.max(0, bottom - top - line))
    if (boxed.length > 1) drawBadge(context, i + 1, colourOf(species), [left, top], Math.round(side/15))
  })
  return canvas
}

// ---- An answer as a picture

const WIDTH = 1080, MARGIN = 56, TALLEST = 1350 // pixels of the picture, and of the photo in it
const HEAD = {font: `600 52px ${FONT}`, height: 64, colour: '#1c1b19'}
const BELOW = {font: `32px ${FONT}`, height: 44, colour: '#5b5750'}

function linesOf(context, text, {font}, width) {
  context.font = font
  const lines = ['']
  for (const word of text.split(' ')) {
    const longer = `${lines.at(-1)} ${word}`.trim()
    if (context.measureText(longer).width <= width || !lines.at(-1)) lines[lines.length - 1] = longer
    else lines.push(word)
  }
  return lines
}

// A picture of a photo (a canvas, with its boxes) and the answers to it, 1080 pixels wide.
export function pictureOf(photo, answers) {
  const canvas = document.createElement('canvas'), context = canvas.getContext('2d')
  const scale = Math.min(WIDTH/photo.width, TALLEST/photo.height), height = Math.round(scale*photo.height)
  const badge = answers.length > 1 ? 84 : 0, room = WIDTH - 2*MARGIN - badge
  const blocks = answers.map(o => [[o.head, HEAD], [o.below, BELOW]].filter(([text]) => text)
    .flatMap(([text, style]) => linesOf(context, text, style, room).map(line => [line, style])))
  const heights = blocks.map(lines => lines.reduce((sum, [, style]) => sum + style.height, 36))
  Object.assign(canvas, {width: WIDTH, height: height + heights.reduce((a, b) => a + b, 0) + 84})
  context.fillStyle = '#fff'
  context.fillRect(0, 0, WIDTH, canvas.height)
  context.fillStyle = '#ece9e3'
  context.fillRect(0, 0, WIDTH, height)
  context.imageSmoothingQuality = 'high'
  context.drawImage(photo, (WIDTH - scale*photo.width)/2, 0, scale*photo.width, height)
  let y = height + 36
  blocks.forEach((lines, i) => {
    if (badge) drawBadge(context, i + 1, colourOf(answers[i].species), [MARGIN, y + 4], 56)
    Object.assign(context, {textAlign: 'left', textBaseline: 'middle'})
    for (const [line, {font, height, colour}] of lines) {
      Object.assign(context, {font, fillStyle: colour})
      context.fillText(line, MARGIN + badge, y + height/2)
      y += height
    }
    y += 36
  })
  Object.assign(context, {font: `600 30px ${FONT}`, fillStyle: '#8b867d', textAlign: 'right'})
  context.fillText('petpoo', WIDTH - MARGIN, canvas.height - 44)
  return canvas
}

function download(file) {
  const url = URL.createObjectURL(file)
  Object.assign(document.createElement('a'), {href: url, download: file.name}).click()
  setTimeout(() => URL.revokeObjectURL(url), 10_000)
}

export async function share(picture, name) { // hands the picture to another app, or saves it where the browser cannot
  const blob = await new Promise(done => picture.toBlob(done, 'image/jpeg', 0.9))
  const file = new File([blob], `petpoo ${name}.jpg`, {type: 'image/jpeg'})
  if (!navigator.canShare?.({files: [file]})) return download(file)
  try { await navigator.share({files: [file]}) } catch (e) { if (e.name !== 'AbortError') download(file) }
}

// ---- The last answers

const KEY = 'petpoo answers', MOST = 12, THUMB = 200 // pixels of the longer side of a small photo

export function kept() { // [{key, head, thumb}], the newest first
  try { return JSON.parse(sessionStorage.getItem(KEY)) ?? [] } catch { return [] }
}

function store(entries) { try { sessionStorage.setItem(KEY, JSON.stringify(entries)) } catch {} } // it may be refused

export function keep(key, photo, answers) {
  const thumb = document.createElement('canvas'), scale = Math.min(1, THUMB/Math.max(photo.width, photo.height))
  Object.assign(thumb, {width: Math.ceil(scale*photo.width), height: Math.ceil(scale*photo.height)})
  const context = Object.assign(thumb.getContext('2d'), {imageSmoothingQuality: 'high'})
  context.drawImage(photo, 0, 0, thumb.width, thumb.height)
  const entry = {key, head: answers.map(o => o.head).join(' · '), thumb: thumb.toDataURL('image/jpeg', 0.8)}
  store([entry, ...kept().filter(o => o.key !== key)].slice(0, MOST))
}

function tile({head, thumb}) {
  const item = document.createElement('li'), image = Object.assign(document.createElement('img'), {src: thumb, alt: ''})
  item.append(image, head)
  return item
}

// Lists the answers that are kept but not shown on the page, with a button that removes all of them.
export function showEarlier(place, isShown, word, cleared) {
  const earlier = kept().filter(o => !isShown(o.key)), [list, title, note, clear] = ['ul', 'h2', 'p', 'button']
    .map(o => document.createElement(o))
  place.hidden = !earlier.length
  Object.assign(title, {textContent: word('earlier'), id: 'earlier-title'})
  note.textContent = word('earlier_note')
  Object.assign(clear, {type: 'button', textContent: word('clear'), onclick: () => {
    store(kept().filter(o => isShown(o.key)))
    showEarlier(place, isShown, word, cleared)
    cleared()
  }})
  list.append(...earlier.map(tile))
  place.setAttribute('aria-labelledby', title.id)
  place.replaceChildren(title, note, list, clear)
}
