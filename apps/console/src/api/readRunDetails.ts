/** What a run says of itself, sorted by what it is. */
export interface RunDetailsView {
  error: { code: string; message: string } | null
  guard: { due: number; allowed: number; total: number | null } | null
  /** Exact counts, in the order they were written. */
  counts: { name: string; value: number }[]
  /** Whatever else there is, as text. */
  facts: { name: string; value: string }[]
}

/** Never throws: details are what a handler returned, and may hold anything. */
export function readRunDetails(details: unknown): RunDetailsView {
  const view: RunDetailsView = { error: null, guard: null, counts: [], facts: [] }
  if (!isRecord(details)) return view
  for (const [name, value] of Object.entries(details)) {
    if (name === 'error' && isRecord(value)) view.error = readError(value)
    else if (name === 'guard' && isRecord(value)) view.guard = readGuard(value)
    else if (typeof value === 'number') view.counts.push({ name, value })
    else if (value !== null) view.facts.push({ name, value: asText(value) })
  }
  return view
}

/** `oldestCreatedAt` as `Oldest created at`. */
export function inWords(name: string): string {
  const words = name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1 $2')
    .replaceAll('_', ' ')
    .toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

function readError({ code, message }: Record<string, unknown>): RunDetailsView['error'] {
  return { code: asText(code ?? 'unknown'), message: asText(message ?? '') }
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
