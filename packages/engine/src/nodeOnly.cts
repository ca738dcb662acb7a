// Loaded in place of the entry where there is no Node: package.json says so of the edge runtimes and of browsers. CommonJS whose
// unknown exports, since a bundler would otherwise report missing names before this message.
module.exports = refuse()

function refuse(): never {
  throw new Error(
    "@roundsman/engine/client runs in Node only. A route of Next.js has to say: export const runtime = 'nodejs'. " +
      'A client component has to leave it to a route or a server action; a test in jsdom has to take the environment node.',
  )
}
