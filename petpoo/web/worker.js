// Decodes photos and runs the network, so that the page never freezes.
import * as ort from './ort.js'
import { outputsOf } from './answer.js'
import { formatOf, normalize, reduce, resize, shrinkSteps, takeOrientation, turn } from './pixels.js'

const MAX_BYTES = 128 << 20, MAX_PIXELS = 89_478_485, STRIP = 1 << 20 // pixels

async function unpacked(name, count) { // the content of a gzip file
  const response = await fetch(name)
  if (!response.ok) throw new Error(`${name}: ${response.status}`)
  const counted = new TransformStream({transform(o, to) { count(o.byteLength); to.enqueue(o) }})
  const stream = response.body.pipeThrough(counted).pipeThrough(new DecompressionStream('gzip'))
  return new Uint8Array(await new Response(stream).arrayBuffer())
}

async function load() {
  const count = loaded => postMessage({loaded})
  const config = await (await fetch('config.json')).json()
  const [wasm, model] = await Promise.all(['ort.wasm.bin', 'model.onnx.bin'].map(o => unpacked(o, count)))
  Object.assign(ort.env.wasm, {wasmBinary: wasm, numThreads: 1}) // more threads need headers that few hosts send
  const session = await ort.InferenceSession.create(model, {executionProviders: ['wasm']})
  const classifier = {config, session}
  await run(classifier, new Float32Array(3*config.size[0]*config.size[1])) // the first run is slower than the others
  return classifier
}

async function run({config, session}, image) { // name of an output -> its numbers, for one photo
  const names = outputsOf(config), found = await session.run({image: new ort.Tensor(image, [1, 3, ...config.size])}, names)
  return Object.fromEntries(names.map(o => [o, found[o].data]))
}

const loading = load()
loading.then(() => postMessage({ready: true}), e => postMessage({failed: String(e.message ?? e)}))

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

async function read(file, [height, width]) { // an upright picture, at least twice as large as the network needs
  if (file.size > MAX_BYTES) throw new Error('large')
  const bytes = new Uint8Array(await file.arrayBuffer())
  const turned = await takeOrientation(bytes)
  const bitmap = await createImageBitmap(new Blob([bytes], {type: file.type}), {colorSpaceConversion: 'none'})
    .catch(() => { throw new Error('unreadable') })
  if (bitmap.width*bitmap.height > MAX_PIXELS) throw new Error('large')
  const atLeast = turned > 4 ? [2*height, 2*width] : [2*width, 2*height]
  const picture = turn(shrunk(bitmap, atLeast, formatOf(bytes)), turned)
  bitmap.close()
  return picture
}

async function answer({id, file}) {
  const classifier = await loading, {config} = classifier
  const picture = await read(file, config.size)
  const small = resize(picture, config.size.toReversed(), config.resize)
  const outputs = await run(classifier, normalize(small, config.mean, config.std))
  if (!Object.values(outputs).every(o => o.every(Number.isFinite))) throw new Error('numbers')
  postMessage({id, outputs, picture})
}

let last = Promise.resolve()
onmessage = ({data}) => { // one photo after another
  last = last.then(() => answer(data)).catch(e => postMessage({id: data.id, error: e.message}))
}
