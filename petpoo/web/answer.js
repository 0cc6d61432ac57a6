// From the outputs of a network to an answer, as petpoo.classify.prediction does it in Python.
// Probabilities are lists of [name, p], the largest first.

export function softmax(logits, temperature = 1) {
  const z = Array.from(logits, o => o/temperature), top = Math.max(...z)
  const e = z.map(o => Math.exp(o - top)), sum = e.reduce((a, b) => a + b, 0)
  return e.map(o => o/sum)
}

const descending = pairs => [...pairs].sort((a, b) => b[1] - a[1])

function summed(pairs) { // [name, p] -> the sum of each name
  const sums = new Map()
  for (const [name, p] of pairs) sums.set(name, (sums.get(name) ?? 0) + p)
  return [...sums]
}

function decide(probs, point) { // the most probable name, unless the operating point is about one of these names
  const p = point && probs.find(([name]) => name === point.positive)
  if (!p) return probs[0][0]
  return p[1] >= point.threshold ? p[0] : (probs.find(([name]) => name !== p[0]) ?? p)[0]
}

function look(joint, config, species) { // the coats and the names of one species
  const names = [...config.classes, ...config.neighbours]
  const mine = names.map(o => (config.species[o] ?? config.coats[o].species) === species)
  const p = softmax(joint).map((o, i) => mine[i] ? o : 0), sum = Math.max(p.reduce((a, b) => a + b, 0), 1e-30)
  const known = names.map((o, i) => [o, p[i]/sum])
  const coats = known.map(([o, q]) => [config.coats[o].coat, q]).filter(([coat]) => coat)
  return [descending(summed(coats)), descending(known.filter((_, i) => mine[i]))]
}

function levelOf(probs, coats, known, named, rule) { // 'breed', 'coat', 'species' or 'none'
  if (!rule) return 'breed'
  if (known < rule.threshold) return 'none'
  const isNamed = named === undefined || !rule.breed ? probs[0][1] >= rule.min_confidence : named >= rule.breed.threshold
  if (isNamed) return 'breed'
  return coats.length && rule.coat && coats[0][1] >= rule.coat.threshold ? 'coat' : 'species'
}

// `outputs` are those of model.onnx for one photo: logits, and what the bundle has of known, named and joint.
export function predict(outputs, config) {
  const p = softmax(outputs.logits, config.temperature)
  const byClass = config.classes.map((o, i) => [o, p[i]])
  const probs = descending(byClass), speciesProbs = descending(summed(byClass.map(([o, q]) => [config.species[o], q])))
  const [label, species] = [probs, speciesProbs].map(o => decide(o, config.operating_point))
  const [coatProbs, jointProbs] = outputs.joint ? look(outputs.joint, config, species) : [[], []]
  const level = levelOf(probs, coatProbs, outputs.known?.[0], outputs.named?.[0], config.abstention)
  const coat = (coatProbs.length && level === 'breed' && config.coats[label].coat) || coatProbs[0]?.[0] || ''
  return {level, label, species, coat, probs, speciesProbs, coatProbs, jointProbs}
}

// The outputs that a bundle uses.
export const outputsOf = config =>
  ['logits', 'known', 'named', 'joint'].slice(0, config.neighbours?.length ? 4 : config.abstention ? 2 : 1)

// The classes that hold the right one for at least a share `coverage` of photos of known classes.
export function setOf({probs, label}, config, coverage = 0.95) {
  const least = (config.coverages ?? []).find(o => o[0] >= coverage)?.[1] ?? 0
  const names = probs.filter(o => o[1] >= least).map(o => o[0])
  return names.length ? names : [label]
}
