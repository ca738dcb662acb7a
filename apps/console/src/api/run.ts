import type {
  ConsoleAction,
  EqualFailures,
  KeptLog,
  Progress,
  RunOutcome,
  RunStatus,
  RunTrigger,
  WorkOfRun,
} from '@roundsman/fastify/contract'

/** A run as GET /api/jobs/runs lists it. */
export interface Run {
  id: string
  name: string
  /** What it was about, as its job says it. */
  label: string | null
  status: RunStatus
  outcome: RunOutcome
  /** Null unless it failed. */
  errorCode: string | null
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
  attempts: (Pick<Run, 'id' | 'attempt' | 'status' | 'outcome' | 'startedAt' | 'endedAt'> &
    Pick<RunDetail, 'dueAt' | 'errorCode'>)[]
  /** When its work was put into the queue, while the queue knows. */
  enqueuedAt: string | null
  /** When batches were committed, in their order: the first, the last, and some between. */
  batchMarks: BatchMark[]
  actions: ConsoleAction[]
  /** Of its payload, what its job shows. */
  shown: Shown | null
  /** When the attempt was due, where that was not when its work was enqueued. */
  dueAt: string | null
  errorCode: string | null
  logs: KeptLog | null
  /** Of its job, around it; null of a run that has not failed. */
  equalFailures: EqualFailures | null
  work: WorkOfRun
}

export type Shown = Record<string, string | number | boolean | null>

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
  /** How far back runs were looked through, where it takes a further page to find more. */
  lookedBackTo?: string
}

/** One of GET /api/jobs/dead-letters. */
export interface DeadLetter {
  queueJobId: string
  name: string
  label: string | null
  shown: Shown | null
  attempts: number
  enqueuedAt: string
  failedAt: string
  error: { code: string; message: string }
  /** The last run of it, as long as that is kept. */
  runId: string | null
}

/** One of GET /api/jobs/dead-letters/causes. */
export interface DeadLetterCause {
  code: string
  count: number
  firstAt: string
  lastAt: string
  message: string | null
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

export const RUN_TRIGGERS = ['schedule', 'queue', 'manual', 'cli'] as const satisfies RunTrigger[]
