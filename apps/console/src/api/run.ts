import type { DeadLetter, Run, RunTrigger, WaitingWork } from '@roundsman/fastify/contract'

export interface RunPage {
  runs: Run[]
  nextCursor: string | null
  /** How far back runs were looked through, where it takes a further page to find more. */
  lookedBackTo?: string
}

export interface DeadLetterPage {
  deadLetters: DeadLetter[]
  nextCursor: string | null
}

export interface WaitingWorkPage {
  work: WaitingWork[]
  /** On all pages; MAX_TOTAL stands for more, too. */
  total: number
  nextCursor: string | null
}

export const RUN_TRIGGERS = ['schedule', 'queue', 'manual', 'cli'] as const satisfies RunTrigger[]
