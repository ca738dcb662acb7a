import type { PagePosition } from '@roundsman/engine/client'
import type { BulkSelection } from '@roundsman/engine/internal'
import { z } from 'zod'
import { pageCursor } from '../http/pageCursor.ts'

/** Which of many, in the body of a request: some by their ids, or all that match. */
export function bulkTargets(most: number) {
  return {
    ids: z
      .array(z.guid())
      .min(1)
      .max(most)
      .optional()
      .describe('The ids of those to act on; leave it out with `all`'),
    all: z
      .literal(true)
      .optional()
      .describe('Act on all that match the filters, instead of on `ids`'),
    cursor: pageCursor.describe('With `all`: the nextCursor of the request before'),
  }
}

interface Targets {
  ids?: string[] | undefined
  all?: true | undefined
  cursor?: PagePosition | undefined
}

/** Reports a body that mixes both ways or takes neither. Everything else in it is a filter. */
export function checkTargets(
  body: Targets & { reason: string },
  context: z.core.$RefinementCtx,
): void {
  const { ids, all } = body
  const say = (path: string, message: string) =>
    context.addIssue({ code: 'custom', path: [path], message })
  if (ids === undefined && all === undefined) say('ids', 'is missing: give ids, or all: true')
  if (ids === undefined) return
  for (const [key, value] of Object.entries(body)) {
    if (value !== undefined && key !== 'ids' && key !== 'reason')
      say(key, 'does not go together with ids')
  }
}

/** Null when the body takes neither. */
export function readTargets<Filter>(
  { ids, all, cursor }: Targets,
  filter: Filter,
): BulkSelection<Filter> | null {
  if (ids !== undefined) return { ids }
  return all === true ? { filter, after: cursor } : null
}

/** How far a request got, in its answer. Left out when there was nothing to match. */
export function progressOf(what: string) {
  return {
    left: z.int().optional().describe(`How many more ${what}`),
    nextCursor: z
      .string()
      .nullable()
      .optional()
      .describe('Pass it as cursor in the next request; null when nothing is left'),
  }
}
