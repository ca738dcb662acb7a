import type { ListedJobRun } from './jobRuns.ts'

/** The parts of an error that every user sees. Its stack has only frames. */
const SEEN = ['code', 'name', 'meaning', 'stack', 'omitted']

/**
 * Removes the parts of a run that need the right to see payloads, unless `messages`: the error's message, its causes, and log
 * lines. It changes the given run.
 */
export function hideMessages<Run extends Pick<ListedJobRun, 'details'> & { logs?: unknown }>(
  run: Run,
  { messages = false }: { messages?: boolean | undefined },
): Run {
  if (messages) return run
  if ('logs' in run) run.logs = null
  const { error } = (run.details ?? {}) as { error?: unknown }
  if (typeof error !== 'object' || error === null) return run
  const seen = Object.entries(error).filter(([part]) => SEEN.includes(part))
  run.details = { ...(run.details as object), error: Object.fromEntries(seen) }
  return run
}
