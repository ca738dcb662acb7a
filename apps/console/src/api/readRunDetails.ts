/** The details of a run, sorted by kind. */
export interface RunDetailsView {
  error: RunError | null
  guard: { due: number; allowed: number; total: number | null } | null
  /** How many due rows a clean-up has left, since others had them locked: `111`, `over 10,000`; null when it left none. */
  stillDue: string | null
  /** Exact counts, in the order in which they were written. */
  counts: { name: string; value: number }[]
  /** Everything else, as text. */
  facts: { name: string; value: string }[]
}

export interface RunError {
  code: string
  /** Its class, such as `TypeError`; null if that tells nothing. */
  name: string | null
  /** Null for people who may not see payloads. */
  message: string | null
  /** What PostgreSQL means by the code; null for any other. */
  meaning: string | null
  /** The stack's lines in the product's own code, innermost first; empty without a stack. */
  frames: string[]
  /** Its causes, the nearest first. */
  causes: { code: string | null; message: string }[]
}

/** Reads a run's details. Never throws, because a handler may have returned anything. */
export function readRunDetails(details: unknown): RunDetailsView {
  const view: RunDetailsView = { error: null, guard: null, stillDue: null, counts: [], facts: [] }
  if (!isRecord(details)) return view
  for (const [name, value] of Object.entries(details)) {
    if (name === 'error' && isRecord(value)) view.error = readError(value)
    else if (name === 'guard' && isRecord(value)) view.guard = readGuard(value)
    else if (name === 'stillDue')
      view.stillDue = typeof value === 'number' ? value.toLocaleString('en') : asText(value)
    else if (typeof value === 'number') view.counts.push({ name, value })
    else if (value !== null) view.facts.push({ name, value: asText(value) })
  }
  return view
}

/** What a run did, in a line; null when it says nothing, and `nothing to do` only where there was nothing. */
export function describeCounts({ counts, stillDue }: RunDetailsView): string | null {
  // The number of batches tells less than what they did, and a zero tells nothing beside another count.
  const told = counts
    .filter(({ name, value }) => value !== 0 && name !== 'batches')
    .map(({ name, value }) => `${value.toLocaleString('en')} ${name}`)
  if (stillDue !== null) told.push(`${stillDue} still due`)
  if (told.length > 0) return told.join(', ')
  return counts.length > 0 ? 'nothing to do' : null
}

/** Turns `oldestCreatedAt` into `Oldest created at`. */
export function inWords(name: string): string {
  const words = name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .replaceAll('_', ' ')
    .toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Finds `importFeed.ts:10` in `at readFeed (src/importFeed.ts:10:17)`. */
export function placeOf(frame: string): string {
  return /([^\s()/\\:]+:\d+)(?::\d+)?\)?$/.exec(frame)?.[1] ?? frame
}

function readError(error: Record<string, unknown>): RunError {
  const { code, name, message, meaning, stack } = error
  return {
    code: asText(code ?? 'unknown'),
    name: typeof name === 'string' ? name : null,
    message: message === undefined ? null : asText(message),
    meaning: typeof meaning === 'string' ? meaning : null,
    frames: typeof stack === 'string' ? stack.split('\n').filter((line) => line !== '') : [],
    causes: readCauses(error),
  }
}

/** The engine keeps no longer chain. */
const MAX_CAUSES = 10

/** Follows the chain of causes. An AggregateError adds the messages of all its errors. */
function readCauses(error: Record<string, unknown>): RunError['causes'] {
  const causes: RunError['causes'] = []
  let at: unknown = error
  while (isRecord(at) && causes.length < MAX_CAUSES) {
    const { cause, errors } = at
    const all = [...(Array.isArray(errors) ? (errors as unknown[]) : []), cause].filter(isRecord)
    for (const { code, message } of all) {
      causes.push({ code: typeof code === 'string' ? code : null, message: asText(message ?? '') })
    }
    at = cause
  }
  return causes
}

function readGuard({ due, allowed, total }: Record<string, unknown>): RunDetailsView['guard'] {
  if (typeof due !== 'number' || typeof allowed !== 'number') return null
  return { due, allowed, total: typeof total === 'number' ? total : null }
}

function asText(value: unknown): string {
  return typeof value === 'string' ? value : JSON.stringify(value)
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
