import type { ConsoleAction, Progress, RunStatus, RunTrigger } from '@roundsman/fastify/contract'

/** A run as GET /api/jobs/runs lists it. */
export interface Run {
  id: string
  name: string
  status: RunStatus
  trigger: RunTrigger
  attempt: number
  scheduledFor: string | null
  startedAt: string
  endedAt: string | null
  durationMs: number | null
  details: unknown
  dryRun: boolean
  actor: string | null
  reason: string | null
  queueJobId: string | null
  workerId: string
  progress: Progress | null
  cancelRequestedAt: string | null
  cancelRequestedBy: string | null
  approvedAt: string | null
  approvedBy: string | null
  createdAt: string
}

/** GET /api/jobs/runs/:id */
export interface RunDetail extends Run {
  /** The other runs of the same piece of work. */
  attempts: Pick<Run, 'id' | 'attempt' | 'status' | 'startedAt'>[]
  /** When its work was put into the queue, while the queue knows. */
  enqueuedAt: string | null
  /** When batches were committed, in their order: the first, the last, and some between. */
  batchMarks: BatchMark[]
  actions: ConsoleAction[]
}

export interface BatchMark {
  at: string
  /** How many there had been by then, this one included. */
  batches: number
  /** What they had counted in all. */
  counts: Record<string, number>
}

export interface RunPage {
  runs: Run[]
  nextCursor: string | null
}

/** One of GET /api/jobs/dead-letters. */
export interface DeadLetter {
  queueJobId: string
  name: string
  attempts: number
  enqueuedAt: string
  failedAt: string
  error: { code: string; message: string }
}

export interface DeadLetterPage {
  deadLetters: DeadLetter[]
  nextCursor: string | null
}

/** One of GET /api/jobs/work. */
export interface WaitingWork {
  queueJobId: string
  name: string
  label: string | null
  startAfter: string
  isDue: boolean
  enqueuedAt: string
  attempts: number
  priority: number
  hasUniqueKey: boolean
  expiresAt: string | null
}

export interface WaitingWorkPage {
  work: WaitingWork[]
  /** On all pages; MAX_TOTAL stands for more, too. */
  total: number
  nextCursor: string | null
}

export const RUN_STATUSES = ['running', 'success', 'failed'] as const satisfies RunStatus[]
export const RUN_TRIGGERS = ['schedule', 'queue', 'manual', 'cli'] as const satisfies RunTrigger[]
