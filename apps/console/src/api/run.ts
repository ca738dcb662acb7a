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
  /** How many there are on all pages; MAX_COUNTED stands for more, too. */
  total: number
  /** Whether these are those whose label contains the one asked for. */
  isLabelPart: boolean
  /** The jobs of all that match, also those that have left the catalogue. */
  names: string[]
  nextCursor: string | null
}

export const RUN_TRIGGERS = ['schedule', 'queue', 'manual', 'cli'] as const satisfies RunTrigger[]
