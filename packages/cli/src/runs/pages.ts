import type { PagePosition, Reader } from '@roundsman/engine/client'
import { parseWholeNumber } from '../command/parseOptions.ts'
import type { Product } from '../command/product.ts'
import { ForeseenError, UsageError } from '../command/runCommand.ts'
import { unknownJob } from '../command/unknownJob.ts'

export const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i

/** What is asked for at once: a page is held in memory, as the database answers it. */
const PAGE = 200
/** What no index tells is looked for in part of the runs at a time: so often, then somebody may want to stop. */
const MAX_LOOKS = 20
const POSITION = /^(\d{4}-\d\d-\d\d[T ][\d:.]{8,15}(?:Z|\+00))\/([0-9a-f-]{36})$/i

/**
 * The first `--limit` items of a list, and where the next ones begin.
 * @throws UsageError
 * @throws ForeseenError when there is no database to read them from
 */
export async function readPages<Item>(
  limitText: string | undefined,
  first: PagePosition | undefined,
  product: Product,
  read: (
    reader: Reader,
    page: { limit: number; after: PagePosition | undefined },
  ) => Promise<{ items: Item[]; next: PagePosition | null }>,
): Promise<{ items: Item[]; next: PagePosition | null }> {
  const limit = parseWholeNumber('--limit', limitText, { min: 1, max: 1_000, otherwise: 20 })
  const { found, reason } = await product.look(async (reader) => {
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

/** Where a list goes on, for a command line. */
export function formatPosition({ at, id }: PagePosition): string {
  return `${at.replace(' ', 'T')}/${id}`
}

/** @throws UsageError */
export function parsePosition(text: string | undefined): PagePosition | undefined {
  if (text === undefined) return undefined
  const [, at, id] = POSITION.exec(text) ?? []
  if (
    at !== undefined &&
    id !== undefined &&
    UUID.test(id) &&
    !Number.isNaN(Date.parse(at.replace('+00', 'Z')))
  ) {
    return { at, id }
  }
  throw new UsageError(`--after: "${text}" is no position that this command has printed`)
}

/**
 * For a list that is empty. A job that is not in the catalogue any more has runs all the same, so the name is asked about
 * only where nothing was found.
 * @throws UsageError
 */
export function refuseUnknownJob(name: string | undefined, { jobs }: Product): void {
  const names = jobs.map((job) => job.name)
  if (name === undefined || names.includes(name)) return
  throw unknownJob(name, names, { option: '--job', known: `These are known: ${names.join(', ')}` })
}
