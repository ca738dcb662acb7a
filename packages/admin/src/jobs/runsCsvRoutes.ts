import {
  listJobRuns,
  type ListedJobRun,
  type ListJobRunsOptions,
  type PagePosition,
  type JobsReader,
} from '@roundsman/engine/client'
import { hideMessages } from '@roundsman/engine/internal'
import { z } from 'zod'
import { route, type AdminParts, type Route, type RouteRequest } from '../route.ts'
import { checkSpans, runFilters } from './jobRunRoutes.ts'

const MAX_LINES = 100_000
/** A small first page, so that the download begins at once. */
const FIRST_PAGE = 100
/** Each run has up to 128 kB of details: a larger page would take too much memory. */
const PAGE = 250

const COLUMNS = {
  id: (run) => run.id,
  name: (run) => run.name,
  status: (run) => run.status,
  trigger: (run) => run.trigger,
  attempt: (run) => run.attempt,
  scheduledFor: (run) => run.scheduledFor,
  startedAt: (run) => run.startedAt,
  endedAt: (run) => run.endedAt,
  durationMs: (run) => run.endedAt && Date.parse(run.endedAt) - Date.parse(run.startedAt),
  dryRun: (run) => run.dryRun,
  actor: (run) => run.actor,
  reason: (run) => run.reason,
  workerId: (run) => run.workerId,
  workId: (run) => run.workId,
  details: (run) => run.details && JSON.stringify(run.details),
  // New columns come last, so that the positions of the old ones do not change.
  label: (run) => run.label,
  outcome: (run) => run.outcome,
  errorCode: (run) => run.errorCode,
  version: (run) => run.version,
} satisfies Record<string, (run: ListedJobRun) => Cell>

type Cell = string | number | boolean | null

type Filters = Omit<ListJobRunsOptions, 'limit' | 'after'>

export function runsCsvRoutes({ client: { reader } }: AdminParts): Route[] {
  return [
    route('GET /jobs/runs.csv', {
      summary: 'List job runs as CSV for spreadsheets, newest first',
      description: `At most ${MAX_LINES} runs, with the same filters as GET /api/jobs/runs.`,
      query: z.strictObject(runFilters).superRefine(checkSpans),
      answer: {
        200: {
          description: 'CSV with a heading line',
          content: { 'text/csv': { schema: z.unknown().meta({ type: 'string' }) } },
        },
      },
      handle: ({ query, stillMayView }) =>
        // Reads no page ahead of the one being sent: the client may leave.
        new Response(ReadableStream.from(writeLines(reader, query, stillMayView)), {
          headers: {
            'content-type': 'text/csv; charset=utf-8',
            'content-disposition': 'attachment; filename="runs.csv"',
          },
        }),
    }),
  ]
}

async function* writeLines(
  reader: JobsReader,
  filters: Filters,
  stillMayView: RouteRequest['stillMayView'],
): AsyncGenerator<Buffer> {
  yield Buffer.from(`${Object.keys(COLUMNS).join(',')}\r\n`)
  let after: PagePosition | undefined
  let lines = 0
  while (lines < MAX_LINES) {
    // The client decides when it reads on. An error, since the end of the file would look like the end of the list.
    const access = await stillMayView()
    if (access === null) throw new Error('The client may not look at the jobs any more')
    const limit = lines === 0 ? FIRST_PAGE : Math.min(PAGE, MAX_LINES - lines)
    const page = await listJobRuns(reader, { ...filters, limit, after })
    const shown = page.runs.map((run) => hideMessages(run, { messages: access.payloads }))
    yield Buffer.from(shown.map(writeLine).join(''))
    lines += page.runs.length
    if (page.next === null) return
    after = page.next
  }
}

function writeLine(run: ListedJobRun): string {
  return `${Object.values(COLUMNS)
    .map((read) => writeCell(read(run)))
    .join(',')}\r\n`
}

function writeCell(value: Cell): string {
  if (value === null) return ''
  if (typeof value !== 'string') return String(value)
  const text = value.replaceAll(FORMULAS, "'")
  return /[",;|\t\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
}

/**
 * Matches cells that a spreadsheet would calculate; an apostrophe prevents that. A reason may contain any text. If semicolons
 * or tabs separate cells, quotation marks inside of a cell do not count, so a formula may also begin behind those. By OWASP's
 * page on CSV injection.
 */
const FORMULAS =
  /^(?=[=+\-@\t\r\n＝＋－＠])|(?<=[;|\r\n])(?=[=+\-@\t＝＋－＠])|(?<=\t)(?=[=+\-@＝＋－＠])/g
