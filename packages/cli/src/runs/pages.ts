import type { PagePosition, JobsReader } from '@roundsman/engine/client'
import { standardLayout, type Layout } from '../command/layout.ts'
import { parseWholeNumber } from '../command/parseOptions.ts'
import { print } from '../command/print.ts'
import { look, type Product, type ProductSource } from '../command/product.ts'
import { ForeseenError, UsageError, type Terminal } from '../command/runCommand.ts'
import { refuseUnknownJob } from '../command/unknownJob.ts'

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** How many items to ask for at once, since a page is held in memory. */
const PAGE = 200
/**
 * A filter without an index looks through a part of the runs at a time. After this number of parts it stops and prints where to go
 * on: a user may have seen enough.
 */
const MAX_LOOKS = 20
const POSITION =
  /^((?!0000)\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00))\/([0-9a-f-]{36})$/i

/** The options of every list. */
export const LIST_OPTIONS = {
  job: { type: 'string' },
  error: { type: 'string' },
  limit: { type: 'string' },
  after: { type: 'string' },
  messages: { type: 'boolean' },
  json: { type: 'boolean' },
} as const

interface ListValues {
  job?: string | undefined
  limit?: string | undefined
  after?: string | undefined
  json?: boolean | undefined
}

interface Page<Item> {
  items: Item[]
  next: PagePosition | null
}

export interface List<Item> {
  /** The name of the items in its JSON. */
  name: string
  read(
    reader: JobsReader,
    page: { limit: number; after: PagePosition | undefined },
  ): Promise<Page<Item>>
  format(items: readonly Item[], layout: Layout): string[]
  /** The text without items; there may be more runs to look through. */
  none(mayBeMore: boolean): string
}

/**
 * Prints the first `--limit` items of a list, and where the next ones begin. Returns the exit code.
 * @throws UsageError
 * @throws ForeseenError when there is no database to read from
 */
export async function showList<Item>(
  values: ListValues,
  terminal: Terminal,
  source: ProductSource,
  list: List<Item>,
): Promise<number> {
  const after = parsePosition(values.after)
  const product = await source.open(terminal)
  const { items, next } = await readPages(values.limit, after, product, list)
  if (items.length === 0 && next === null) refuseUnknownJob(values.job, product, '--job')
  const position = next && formatPosition(next)
  if (values.json) return print(terminal, { [list.name]: items, next: position })
  const layout = standardLayout(terminal.stdout)
  const lines = items.length === 0 ? [list.none(next !== null)] : list.format(items, layout)
  if (position !== null) lines.push('', layout.paint('dim', `More: --after ${position}`))
  return print(terminal, lines)
}

async function readPages<Item>(
  limitText: string | undefined,
  first: PagePosition | undefined,
  product: Product,
  { read }: List<Item>,
): Promise<Page<Item>> {
  const limit = parseWholeNumber('--limit', limitText, { min: 1, max: 1_000, otherwise: 20 })
  const { found, reason } = await look(product, async (reader) => {
    const items: Item[] = []
    for (let after = first, looks = 1; ; looks++) {
      const page = await read(reader, { limit: Math.min(PAGE, limit - items.length), after })
      items.push(...page.items)
      if (page.next === null || items.length >= limit || looks === MAX_LOOKS)
        return { items, next: page.next }
      after = page.next
    }
  })
  if (found === null) throw new ForeseenError(`Nothing could be read: ${reason}.`)
  return found
}

/** The place where a list goes on, for a command line. */
export function formatPosition({ at, id }: PagePosition): string {
  return `${at.replace(' ', 'T')}/${id}`
}

/** @throws UsageError */
export function parsePosition(text: string | undefined): PagePosition | undefined {
  if (text === undefined) return undefined
  const [, at, id] = POSITION.exec(text) ?? []
  if (at !== undefined && id !== undefined && UUID.test(id) && isOfCalendar(at)) return { at, id }
  throw new UsageError(`--after: "${text}" is not a position that this command has printed`)
}

/** To JavaScript the 30th of February is another day. */
function isOfCalendar(at: string): boolean {
  const second = at.slice(0, 19).replace(' ', 'T')
  const ms = Date.parse(`${second}Z`)
  return !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(second)
}
