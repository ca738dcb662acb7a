import type { Wanted } from '../control/actOnMany.ts'
import { checkRequest } from './actions.ts'
import {
  ArgumentError,
  asItIs,
  checkDate,
  checkId,
  checkJobName,
  checkOptions,
  checkText,
  listOf,
  objectOf,
  oneOf,
  optional,
} from '../values/argument.ts'
import { checkPriority } from './enqueueOptions.ts'
import { LETTER_FILTER, PIECE_FILTER, RUN_FILTER } from './queries.ts'

/*
 * Requests for acts on many.
 */

const MAX_IDS = 10_000
const IDS = { ids: optional(listOf(checkId, MAX_IDS)) }
const OF_WORK = { ...PIECE_FILTER, ...IDS }
const OF_LETTERS = { ...LETTER_FILTER, ...IDS }
const FILTERS = {
  cancelWork: OF_WORK,
  postponeWork: OF_WORK,
  prioritiseWork: OF_WORK,
  redrive: { ...OF_LETTERS, runs: optional(objectOf(RUN_FILTER)) },
  discard: OF_LETTERS,
  cancel: { ...RUN_FILTER, ...IDS },
}
type Kind = keyof typeof FILTERS

const REQUEST = {
  mark: optional(checkText),
  kind: oneOf(Object.keys(FILTERS) as Kind[]),
  which: asItIs,
  startAfter: asItIs,
  priority: asItIs,
  jobs: optional(listOf(checkJobName)),
}

export function checkActOnMany(request: unknown) {
  const { kind, which, jobs, by, mark, ...given } = checkRequest(request, REQUEST)
  if (by.reason === undefined) throw new ArgumentError('request.reason', 'is missing: say why')
  return {
    ...{ kind, jobs, by, mark },
    wanted: which === 'all' ? {} : checkWhich(kind, which),
    startAfter:
      kind === 'postponeWork' ? checkDate('request.startAfter', given.startAfter) : undefined,
    priority:
      kind === 'prioritiseWork' ? checkPriority('request.priority', given.priority) : undefined,
  }
}

/** Refuses empty filters, which are likely a typo. */
function checkWhich(kind: Kind, which: unknown): Wanted {
  const checked = checkOptions('request.which', which, FILTERS[kind], { prefix: 'request.which.' })
  const conditions = Object.entries(checked).filter(([, value]) => value !== undefined)
  if (conditions.length > 0) return Object.fromEntries(conditions)
  throw new ArgumentError('request.which', `must be 'all', or name ids or a filter`)
}

export function refuseMark(): ArgumentError {
  return new ArgumentError(
    'request.mark',
    'is not of a call with this request; pass the mark that the call before returned, or leave it out to begin anew',
  )
}

export function refuseForeignMark(): ArgumentError {
  return new ArgumentError('request.mark', 'is of another database; leave it out to begin anew')
}
