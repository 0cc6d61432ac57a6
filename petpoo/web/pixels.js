// From the bytes of a photo to the numbers that a network sees, as petpoo.image and petpoo.pixels do it in Python.
// A picture is {width, height, data}: RGBA, one byte per value.

const text = bytes => new TextDecoder('latin1').decode(bytes) // the bytes 128 to 159 become other letters than Latin-1's

// ---- Orientation: EXIF first, then XMP

function exifOrientation(bytes, start) { // -> [orientation, position of its value]
  if (text(bytes.subarray(start, start + 6)) === 'Exif\0\0') start += 6
  const view = new DataView(bytes.buffer, bytes.byteOffset + start)
  const little = {II: true, MM: false}[text(bytes.subarray(start, start + 2))]
  if (little === undefined) return [1, 0]
  try {
    const first = view.getUint32(4, little)
    for (let i = 0, n = view.getUint16(first, little); i < n; i++) {
      const at = first + 2 + 12*i
      if (view.getUint16(at, little) === 0x0112 && view.getUint16(at + 2, little) === 3)
        return [view.getUint16(at + 8, little), start + at + 8]
    }
  } catch (e) { if (!(e instanceof RangeError)) throw e } // the block is cut off
  return [1, 0]
}

const xmpOrientation = xmp => Number(/tiff:Orientation(?:="|>)([0-9])/.exec(xmp)?.[1] ?? 1)

async function inflate(bytes) {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream('deflate'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

function* jpegNotes(bytes) { // -> {exif: position} or {xmp: text}
  const xmp = 'http://ns.adobe.com/xap/1.0/\0'
  for (let at = 2; at + 4 <= bytes.length && bytes[at] === 0xff && bytes[at + 1] !== 0xda;) {
    if (bytes[at + 1] === 0xff) { at++; continue }
    const size = bytes[at + 2] << 8 | bytes[at + 3], body = bytes.subarray(at + 4, at + 2 + size)
    if (bytes[at + 1] === 0xe1 && text(body.subarray(0, 6)) === 'Exif\0\0') yield {exif: at + 4}
    if (bytes[at + 1] === 0xe1 && text(body.subarray(0, xmp.length)) === xmp) yield {xmp: text(body)}
    at += 2 + size
  }
}

async function* pngNotes(bytes) { // -> as above, or {profile: bytes}
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (let at = 8; at + 12 <= bytes.length;) {
    const size = view.getUint32(at), kind = text(bytes.subarray(at + 4, at + 8))
    const body = bytes.subarray(at + 8, at + 8 + size), word = body.indexOf(0), key = text(body.subarray(0, word))
    if (kind === 'IDAT') return
    if (kind === 'eXIf') yield {exif: at + 8}
    if (kind === 'iTXt' && key === 'XML:com.adobe.xmp') {
      let rest = word + 3
      for (const _ of ['language', 'translation']) rest = body.indexOf(0, rest) + 1
      yield {xmp: text(body[word + 1] ? await inflate(body.subarray(rest)) : body.subarray(rest))}
    }
    if (key === 'Raw profile type exif' && (kind === 'zTXt' || kind === 'tEXt')) {
      const hex = text(kind === 'zTXt' ? await inflate(body.subarray(word + 2)) : body.subarray(word + 1))
      yield {profile: Uint8Array.from(hex.split('\n').slice(3).join('').match(/../g) ?? [], o => parseInt(o, 16))}
    }
    at += 12 + size
  }
}

function* webpNotes(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  for (let at = 12; at + 8 <= bytes.length;) {
    const kind = text(bytes.subarray(at, at + 4)), size = view.getUint32(at + 4, true)
    if (kind === 'EXIF') yield {exif: at + 8}
    if (kind === 'XMP ') yield {xmp: text(bytes.subarray(at + 8, at + 8 + size))}
    at += 8 + size + size % 2
  }
}

export function formatOf(bytes) {
  const head = text(bytes.subarray(0, 12))
  if (head.startsWith('\xff\xd8\xff')) return 'JPEG'
  if (bytes[0] === 0x89 && head.startsWith('PNG\r\n\x1a\n', 1)) return 'PNG'
  return /^RIFF....WEBP/s.test(head) ? 'WEBP' : ''
}

// How a JPEG, PNG or WebP is turned, from 1 (upright) to 8. Its EXIF is set to upright in `bytes`, so that every
// browser decodes the pixels as they lie. Other formats are left to the browser.
export async function takeOrientation(bytes) {
  const notes = {JPEG: jpegNotes, PNG: pngNotes, WEBP: webpNotes}[formatOf(bytes)]
  let exif = null, xmp = null
  try {
    for await (const o of notes ? notes(bytes) : []) {
      if (o.xmp) xmp ??= xmpOrientation(o.xmp)
      else if (o.profile) exif ??= exifOrientation(o.profile, 0)[0]
      else {
        const [turned, at] = exifOrientation(bytes, o.exif)
        exif ??= turned
        if (at) bytes.set(bytes[at] ? [1, 0] : [0, 1], at)
      }
    }
  } catch (e) { if (!(e instanceof RangeError || e instanceof TypeError)) throw e } // damaged notes
  const found = (exif ?? 1) === 1 ? xmp ?? 1 : exif
  return found >= 2 && found <= 8 ? found : 1
}

export function turn(picture, turned) {
  if (turned === 1) return picture
  const {width: w, height: h} = picture, swap = turned > 4
  const [width, height] = swap ? [h, w] : [w, h]
  const from = new Uint32Array(picture.data.buffer), to = new Uint32Array(width*height)
  const flipX = [2, 3, 7, 8].includes(turned), flipY = [3, 4, 6, 7].includes(turned)
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++) {
    const [a, b] = swap ? [y, x] : [x, y]
    to[i++] = from[(flipY ? h - 1 - b : b)*w + (flipX ? w - 1 - a : a)]
  }
  return {width, height, data: new Uint8ClampedArray(to.buffer)}
}

// ---- Shrinking, as Pillow's Image.reduce: the average of square blocks

// [width, height] that are enough for an input of [height, width], as `petpoo.image.enough_for` has it
export const enoughFor = size => size.toReversed().map(o => 320*Math.ceil(1.2*o/320))

// The two steps in which a picture becomes smaller before it is resized: while a JPEG is decoded, and after that.
export function shrinkSteps(width, height, [w, h], format) {
  const fits = (a, b) => Math.floor(Math.min(a/w, b/h))
  const first = format === 'JPEG' ? [8, 4, 2].find(o => fits(width, height) >= o) ?? 1 : 1
  return [first, Math.max(1, fits(Math.ceil(width/first), Math.ceil(height/first)))]
}

export function reduce(picture, factor) {
  if (factor === 1) return picture
  const {width: w, height: h, data} = picture, width = Math.ceil(w/factor), height = Math.ceil(h/factor)
  const out = new Uint8ClampedArray(4*width*height)
  for (let y = 0, i = 0; y < height; y++) for (let x = 0; x < width; x++, i += 4) {
    const right = Math.min(w, (x + 1)*factor), bottom = Math.min(h, (y + 1)*factor)
    const n = (right - x*factor)*(bottom - y*factor), share = Math.floor(2**24/n)
    let r = n >> 1, g = n >> 1, b = n >> 1
    for (let v = y*factor; v < bottom; v++) for (let j = 4*(v*w + x*factor), end = 4*(v*w + right); j < end; j += 4) {
      r += data[j]; g += data[j + 1]; b += data[j + 2]
    }
    out[i] = Math.floor(r*share/2**24)
    out[i + 1] = Math.floor(g*share/2**24)
    out[i + 2] = Math.floor(b*share/2**24)
    out[i + 3] = 255
  }
  return {width, height, data: out}
}

export function crop({width, data}, [left, top, right, bottom]) {
  const w = right - left, out = new Uint8ClampedArray(4*w*(bottom - top))
  for (let y = top; y < bottom; y++) out.set(data.subarray(4*(y*width + left), 4*(y*width + right)), 4*w*(y - top))
  return {width: w, height: bottom - top, data: out}
}

// ---- Resizing, as Pillow's Image.resize: a triangle filter, as wide as the reduction, in whole numbers

const BITS = 22 // of a weight

function weightsOf(size, from, to, out) { // -> for each output pixel, the first input pixel and the weights
  const scale = Math.fround(to - from)/out, reach = Math.max(scale, 1)
  return Array.from({length: out}, (_, i) => {
    const centre = from + (i + 0.5)*scale
    const first = Math.max(0, Math.trunc(centre - reach + 0.5)), end = Math.min(size, Math.trunc(centre + reach + 0.5))
    const w = Array.from({length: end - first}, (_, x) => Math.max(0, 1 - Math.abs((x + first - centre + 0.5)*(1/reach))))
    const sum = w.reduce((a, b) => a + b, 0)
    return [first, Int32Array.from(w, o => Math.trunc(0.5 + o/(sum || 1)*2**BITS))]
  })
}

// One direction: `lines` lines that are `line` bytes apart, of pixels that are `step` bytes apart.
function pass(from, to, weights, lines, [line, step], [outLine, outStep]) {
  for (let l = 0; l < lines; l++) weights.forEach(([first, w], i) => {
    let r = 1 << BITS - 1, g = r, b = r
    for (let k = 0, j = l*line + first*step; k < w.length; k++, j += step) {
      r += from[j]*w[k]; g += from[j + 1]*w[k]; b += from[j + 2]*w[k]
    }
    const o = l*outLine + i*outStep
    to[o] = r >> BITS; to[o + 1] = g >> BITS; to[o + 2] = b >> BITS; to[o + 3] = 255
  })
}

function resample({width: w, height: h, data}, [width, height], box) {
  const [left, top, right, bottom] = box.map(Math.fround)
  const wide = new Uint8ClampedArray(4*width*h), out = new Uint8ClampedArray(4*width*height)
  pass(data, wide, weightsOf(w, left, right, width), h, [4*w, 4], [4*width, 4])
  pass(wide, out, weightsOf(h, top, bottom, height), width, [4, 4*width], [4, 4*width])
  return {width, height, data: out}
}

export const roundEven = v => Math.abs(v % 1) === 0.5 ? 2*Math.round(v/2) : Math.round(v) // as Python rounds

function cropBox(w, h, ratio) {
  const width = w/h >= ratio ? ratio*h : w, height = w/h >= ratio ? h : w/ratio
  const left = (w - width)*0.5, top = (h - height)*0.5
  return w/h === ratio ? [0, 0, w, h] : [left, top, left + width, top + height]
}

const GREY = [124, 116, 104, 255]

function pad(picture, [width, height]) {
  const {width: w, height: h} = picture, wider = w/h > width/height
  const inner = wider ? [width, roundEven(h/w*width)] : [w/h === width/height ? width : roundEven(w/h*height), height]
  const small = resample(picture, inner, [0, 0, w, h])
  if (inner[0] === width && inner[1] === height) return small
  const data = new Uint8ClampedArray(4*width*height)
  for (let i = 0; i < data.length; i += 4) data.set(GREY, i)
  const x = roundEven((width - inner[0])*0.5), y = inner[0] === width ? roundEven((height - inner[1])*0.5) : 0
  for (let v = 0; v < inner[1]; v++)
    data.set(small.data.subarray(4*v*inner[0], 4*(v + 1)*inner[0]), 4*((v + y)*width + x))
  return {width, height, data}
}

export function resize(picture, size, method) { // `size` is [width, height]
  const {width: w, height: h} = picture
  if (method === 'pad') return pad(picture, size)
  return resample(picture, size, method === 'crop' ? cropBox(w, h, size[0]/size[1]) : [0, 0, w, h])
}

// ---- Numbers: (x/255 - mean)/std in 32 bits, one colour after another

export function normalize({data}, mean, std) {
  const n = data.length/4, out = new Float32Array(3*n), f = Math.fround
  for (let c = 0; c < 3; c++) {
    const level = Float32Array.from({length: 256}, (_, v) => f(f(f(v/255) - f(mean[c]))/f(std[c])))
    for (let i = 0; i < n; i++) out[c*n + i] = level[data[4*i + c]]
  }
  return out
}
