// Decodes photos and runs the network, so that the page never freezes.
import './files.js'
import * as ort from './ort.js'
import { AT_LEAST, cropAround, findAnimals, INPUT_SIDE } from './animals.js'
import { outputsOf } from './answer.js'
import { enoughFor, formatOf, normalize, reduce, resize, shrinkSteps, takeOrientation, turn } from './pixels.js'

const MAX_BYTES = 128 << 20, MAX_PIXELS = 89_478_485, STRIP = 1 << 20 // pixels
const SHOWN = 1080 // pixels of the longer side of the picture for the page
const DETECTOR = 'detector.onnx.bin' // comes with classifiers of pets

async function unpacked(name, count) { // the content of a gzip file
  const response = await fetch(name)
  if (!response.ok) throw new Error(`${name}: ${response.status}`)
  const counted = new TransformStream({transform(o, to) { count(o.byteLength); to.enqueue(o) }})
  const stream = response.body.pipeThrough(counted).pipeThrough(new DecompressionStream('gzip'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

const sessionOf = graph => ort.InferenceSession.create(graph, {executionProviders: ['wasm']})

async function load() {
  const count = loaded => postMessage({loaded})
  const config = await (await fetch('config.json')).json()
  const [wasm, model] = await Promise.all(['ort.wasm.bin', 'model.onnx.bin'].map(o => unpacked(o, count)))
  Object.assign(ort.env.wasm, {wasmBinary: wasm, numThreads: 1}) // more threads need headers that few hosts send
  const classifier = {config, session: await sessionOf(model)}
  await classify(classifier, new Float32Array(3*config.size[0]*config.size[1])) // the first run is slower than others
  return classifier
}

async function loadDetector() { // a function that `findAnimals` takes; null: there is nothing to find
  if (!FILES[DETECTOR]) return null
  const session = await sessionOf(await unpacked(DETECTOR, () => {}))
  const detect = image => run(session, image, [INPUT_SIDE, INPUT_SIDE], ['boxes', 'scores'])
  await detect(new Float32Array(3*INPUT_SIDE*INPUT_SIDE))
  return detect
}

async function run(session, image, size, names) { // name of an output -> its numbers, for one picture
  const found = await session.run({image: new ort.Tensor(image, [1, 3, ...size])}, names)
  return Object.fromEntries(names.map(o => [o, found[o].data]))
}

async function classify({config, session}, image) {
  const outputs = await run(session, image, config.size, outputsOf(config))
  if (!Object.values(outputs).every(o => o.every(Number.isFinite))) throw new Error('numbers')
  return outputs
}

const loading = load(), detecting = loading.then(loadDetector) // the page is ready before the detector has come
const fail = e => postMessage({failed: String(e.message ?? e)})
loading.then(() => postMessage({ready: true}), () => {}) // `detecting` fails, too
detecting.then(() => postMessage({complete: true}), fail)

function strip(bitmap, top, rows) { // some rows of a picture, on white
  const canvas = new OffscreenCanvas(bitmap.width, rows)
  const context = canvas.getContext('2d', {willReadFrequently: true})
  context.fillStyle = 'white'
  context.fillRect(0, 0, bitmap.width, rows)
  context.drawImage(bitmap, 0, -top)
  return context.getImageData(0, 0, bitmap.width, rows)
}

function shrunk(bitmap, atLeast, format) {
  const [first, then] = shrinkSteps(bitmap.width, bitmap.height, atLeast, format), block = first*then
  const width = Math.ceil(Math.ceil(bitmap.width/first)/then), height = Math.ceil(Math.ceil(bitmap.height/first)/then)
  const data = new Uint8ClampedArray(4*width*height), rows = block*Math.max(1, Math.floor(STRIP/bitmap.width/block))
  for (let top = 0; top < bitmap.height; top += rows) {
    const part = strip(bitmap, top, Math.min(rows, bitmap.height - top))
    data.set(reduce(reduce(part, first), then).data, 4*width*(top/block))
  }
  return {width, height, data}
}

async function open(file) {
  if (file.size > MAX_BYTES) throw new Error('large')
  const bytes = new Uint8Array(await file.arrayBuffer()), turned = await takeOrientation(bytes)
  const asStored = {colorSpaceConversion: 'none', premultiplyAlpha: 'none'} // else WebP's alpha is rounded twice
  const bitmap = await createImageBitmap(new Blob([bytes], {type: file.type}), asStored)
    .catch(() => { throw new Error('unreadable') })
  if (bitmap.width*bitmap.height > MAX_PIXELS) throw new Error('large')
  return {bitmap, turned, format: formatOf(bytes)}
}

function upright({bitmap, turned, format}, [width, height]) { // a picture, at least that large where the photo is
  const atLeast = turned > 4 ? [height, width] : [width, height]
  return turn(shrunk(bitmap, atLeast, format), turned)
}

function shown({bitmap, turned}) { // a picture for the page
  const scale = Math.min(1, SHOWN/Math.max(bitmap.width, bitmap.height))
  const width = Math.max(1, Math.round(scale*bitmap.width)), height = Math.max(1, Math.round(scale*bitmap.height))
  const context = new OffscreenCanvas(width, height).getContext('2d')
  Object.assign(context, {fillStyle: 'white', imageSmoothingQuality: 'high'})
  context.fillRect(0, 0, width, height)
  context.drawImage(bitmap, 0, 0, width, height)
  return turn(context.getImageData(0, 0, width, height), turned)
}

async function look(photo, size) { // the animals in a photo, and the views that are answered
  const detect = await detecting, picture = detect && upright(photo, AT_LEAST)
  const animals = detect ? await findAnimals(detect, picture) : []
  if (animals.length) return [animals, animals.map(o => cropAround(picture, o.box))]
  return [[], [upright(photo, enoughFor(size))]]
}

async function answer({id, file}) {
  const classifier = await loading, {config} = classifier, photo = await open(file)
  const [animals, views] = await look(photo, config.size), picture = shown(photo), each = []
  photo.bitmap.close()
  for (const view of views) {
    const small = resize(view, config.size.toReversed(), config.resize)
    each.push(await classify(classifier, normalize(small, config.mean, config.std)))
  }
  postMessage({id, animals, each, picture}, [picture.data.buffer])
}

let last = Promise.resolve()
onmessage = ({data}) => { // one photo after another
  last = last.then(() => answer(data)).catch(e => postMessage({id: data.id, error: e.message}))
}
