import type { DeadLetter, Run, RunTrigger, WaitingWork } from '@roundsman/admin/contract'

export interface RunPage {
  runs: Run[]
  nextCursor: string | null
  /** How far back the server has looked, when a further page may find more. */
  lookedBackTo?: string
}

export interface DeadLetterPage {
  deadLetters: DeadLetter[]
  nextCursor: string | null
}

export interface WaitingWorkPage {
  work: WaitingWork[]
  /** How many there are on all pages. */
  total: number
  /** Whether there are more. */
  isTotalCut: boolean
  /** Whether these are those whose label contains the one asked for. */
  isLabelPart: boolean
  /** The jobs of all that match, also those that have left the catalogue. */
  names: string[]
  nextCursor: string | null
}

export const RUN_TRIGGERS = ['schedule', 'queue', 'manual', 'cli'] as const satisfies RunTrigger[]

/** The clocks of machines differ by some seconds; the judge has the same limit. */
const MIN_AHEAD_MS = 10_000

/** How far the clock of a run's worker was ahead of the database's as it took the run; null within a few seconds. */
export function clockAheadMs({ startedAt, createdAt }: RunStart): number | null {
  const aheadMs = Date.parse(startedAt) - Date.parse(createdAt)
  return aheadMs > MIN_AHEAD_MS ? aheadMs : null
}

/** When a run started, by the database's clock where its worker's was ahead. */
export function startOf(run: RunStart): string {
  return clockAheadMs(run) === null ? run.startedAt : run.createdAt
}

/** The start by the worker's clock, and when the database had the run in a claim: both are of one statement. */
type RunStart = Pick<Run, 'startedAt' | 'createdAt'>
