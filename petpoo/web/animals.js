// Finds the cats and dogs in a photo, as petpoo.classify.animals does it in Python.
// A box is [left, top, right, bottom], as shares of the photo.
import { crop, normalize, resize, roundEven } from './pixels.js'

const GRIDS = [19, 10, 5, 3, 2, 1], RATIOS = [1, 2, 0.5, 3, 0.3333], SPECIES = ['cat', 'dog']
const FIRST_SCORE = 0.3, SECOND_SCORE = 0.5, MOST_OVERLAP = 0.5, FILLS = 0.3
const WHOLE = [0, 0, 1, 1], QUARTERS = [[0, 0, 0.6, 0.6], [0, 0.4, 0.6, 1], [0.4, 0, 1, 0.6], [0.4, 0.4, 1, 1]]
export const INPUT_SIDE = 300, AT_LEAST = [2048, 2048]

function shapesOf(grid) { // [scale, width by height] of each anchor of a cell
  const scales = [...GRIDS.map((_, i) => 0.2 + 0.15*i), 1]
  if (!grid) return [[0.1, 1], [scales[0], 2], [scales[0], 0.5]]
  return [...RATIOS.map(o => [scales[grid], o]), [Math.sqrt(scales[grid]*scales[grid + 1]), 1]]
}

function anchorsOf(cells, grid) { // [centre x, centre y, width, height]
  const rows = Array.from({length: cells*cells}, (_, i) => [i % cells, Math.floor(i/cells)])
  return rows.flatMap(([x, y]) => shapesOf(grid).map(([scale, ratio]) =>
    [(x + 0.5)/cells, (y + 0.5)/cells, scale*Math.sqrt(ratio), scale/Math.sqrt(ratio)]))
}
const anchors = GRIDS.flatMap(anchorsOf)

function boxOf([x, y, width, height], [dy, dx, dh, dw]) {
  const cx = x + dx/10*width, cy = y + dy/10*height, w = width*Math.exp(dw/5)/2, h = height*Math.exp(dh/5)/2
  return [cx - w, cy - h, cx + w, cy + h].map(o => Math.min(1, Math.max(0, o)))
}

const areaOf = ([left, top, right, bottom]) => (right - left)*(bottom - top)

function overlap(a, b) { // the shared area as a share of the smaller one
  const w = Math.min(a[2], b[2]) - Math.max(a[0], b[0]), h = Math.min(a[3], b[3]) - Math.max(a[1], b[1])
  return Math.max(0, w)*Math.max(0, h)/Math.max(1e-9, Math.min(areaOf(a), areaOf(b)))
}

function animalsIn(seen, least) { // of several that overlap, the one with the highest score
  const kept = []
  for (const o of seen.filter(o => o.score >= least).sort((a, b) => b.score - a.score))
    if (kept.every(k => overlap(k.box, o.box) <= MOST_OVERLAP)) kept.push(o)
  return kept
}

const inPixels = ({width, height}, box) => box.map((o, i) => roundEven(o*(i % 2 ? height : width)))

async function detect(run, picture, part) { // what each anchor shows in a part of the picture
  const view = resize(crop(picture, inPixels(picture, part)), [INPUT_SIDE, INPUT_SIDE])
  const {boxes, scores} = await run(normalize(view, [0.5, 0.5, 0.5], [0.5, 0.5, 0.5]))
  const [left, top, right, bottom] = part
  return anchors.map((anchor, i) => {
    const box = boxOf(anchor, boxes.subarray(4*i, 4*i + 4)), [cat, dog] = scores.subarray(2*i, 2*i + 2)
    return {
      box: box.map((o, k) => k % 2 ? top + o*(bottom - top) : left + o*(right - left)),
      species: SPECIES[cat >= dog ? 0 : 1], score: 1/(1 + Math.exp(-Math.max(cat, dog)))}
  })
}

const byPlace = (a, b) => a.box.map((o, i) => o - b.box[i]).find(Boolean) ?? 0

// The animals that need an answer of their own, from left to right. `run` gives the outputs for 3 x 300 x 300 numbers.
export async function findAnimals(run, picture) {
  let found = animalsIn(await detect(run, picture, WHOLE), FIRST_SCORE)
  if (!found.length) {
    const seen = []
    for (const part of QUARTERS) seen.push(...await detect(run, picture, part))
    found = animalsIn(seen, SECOND_SCORE)
  }
  return found.length === 1 && areaOf(found[0].box) >= FILLS ? [] : found.sort(byPlace)
}

function stretch(low, high, side, n) { // `side` pixels around the middle of a stretch, inside `n` pixels
  const length = Math.min(roundEven(side), n)
  const start = roundEven(Math.min(Math.max(0, (low + high - length)/2), n - length))
  return [start, start + length]
}

export function cropAround(picture, box) { // a square, where the picture is large enough
  const {width, height} = picture
  const [left, top, right, bottom] = box.map((o, i) => o*(i % 2 ? height : width))
  const side = Math.max(right - left, bottom - top, 1)
  const [x0, x1] = stretch(left, right, side, width), [y0, y1] = stretch(top, bottom, side, height)
  return crop(picture, [x0, y0, x1, y1])
}
