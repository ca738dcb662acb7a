import { readdir } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'

/** What newcomers type, and a page that has to be among the first results. */
const QUERIES: readonly (readonly [query: string, page: RegExp])[] = [
  ['run job in 10 minutes', /questions|concepts\/work/],
  ['how many connections', /questions|scaling/],
  ['job failed alert slack', /questions|observability/],
  ['DATABASE_URL is not set', /questions/],
  ['defineJob', /reference\/engine|concepts\/job/],
  ['date in payload', /questions|concepts\/work/],
  ['nuxt', /frameworks\/nuxt/],
  ['koa', /questions/],
]
/** How many results are on the screen before one scrolls. */
const FIRST = 3

interface SearchIndex {
  search(query: string): { id: string }[]
}

interface SearchOptions {
  options: object
  searchOptions: object
}

/**
 * Searches a built site as its pages do.
 * @throws Error that lists the queries whose page is not among the first results
 */
export async function checkSearch(
  folder: string,
  { options, searchOptions }: SearchOptions,
): Promise<void> {
  const chunks = join(folder, 'assets/chunks')
  const name = (await readdir(chunks)).find((file) => file.includes('localSearchIndex'))
  if (name === undefined) throw new Error(`${chunks} has no index of the search`)
  const built = (await import(pathToFileURL(join(chunks, name)).href)) as { default: string }
  const requireOfSite = createRequire(import.meta.resolve('vitepress'))
  const MiniSearch = requireOfSite('minisearch') as {
    loadJSON(json: string, options: object): SearchIndex
  }
  const index = MiniSearch.loadJSON(built.default, {
    fields: ['title', 'titles', 'text'],
    // As VitePress's own page has them.
    searchOptions: {
      fuzzy: 0.2,
      prefix: true,
      boost: { title: 4, text: 2, titles: 1 },
      ...searchOptions,
    },
    ...options,
  })
  const missed = QUERIES.flatMap(([query, page]) => {
    const found = index.search(query).slice(0, FIRST)
    const ids = found.map(({ id }) => id)
    return ids.some((id) => page.test(id)) ? [] : [`"${query}" finds ${ids.join(', ')}`]
  })
  if (missed.length > 0) throw new Error(`The search misses pages:\n${missed.join('\n')}`)
}
