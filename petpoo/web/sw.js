// Keeps every file of the page on the device, so that it works offline after the first visit.
importScripts('files.js') // FILES: address -> {sha256, bytes}; VERSION: another one for other files

const MINE = `petpoo ${registration.scope} `, CACHE = MINE + VERSION // the caches of an origin are shared

async function checked(name, cache) { // a response with the content that the export wrote
  const response = await fetch(name, {cache})
  const digest = await crypto.subtle.digest('SHA-256', await response.clone().arrayBuffer())
  const hex = [...new Uint8Array(digest)].map(o => o.toString(16).padStart(2, '0')).join('')
  return hex === FILES[name].sha256 ? response : null
}

async function keep() {
  const cache = await caches.open(CACHE)
  for (const name of Object.keys(FILES)) {
    const response = await checked(name, 'default') ?? await checked(name, 'reload') // an older file may lie in between
    if (!response) throw new Error(`${name} is not the file that was exported`)
    await cache.put(name, response)
  }
  await cache.add(new Request('files.js', {cache: 'reload'}))
  await self.skipWaiting()
}

async function claim() {
  const old = (await caches.keys()).filter(o => o.startsWith(MINE) && o !== CACHE)
  await Promise.all(old.map(o => caches.delete(o)))
  await self.clients.claim()
}

async function serve(request) {
  const address = new URL(request.url)
  const cache = await caches.open(CACHE), name = address.pathname.replace(/index\.html$/, '')
  return await cache.match(name, {ignoreSearch: true}) ?? fetch(request)
}

addEventListener('install', e => e.waitUntil(keep()))
addEventListener('activate', e => e.waitUntil(claim()))
addEventListener('fetch', e => e.respondWith(serve(e.request)))
