/*
 * What the console gets over HTTP. Instants are ISO 8601 in UTC, durations milliseconds. The runs themselves
 * (GET /api/jobs/runs, /api/jobs/runs/:id), ticks (GET /api/jobs/:name/ticks), dead letters (GET
 * /api/jobs/dead-letters) and all actions are the same routes that programs use.
 *
 * The console logs in with POST /api/console/session {email, password}: 200 and a session cookie that scripts
 * can't read; 401 for a wrong password, 403 for staff. GET says who one is (401 when nobody), DELETE logs out
 * (204). Every request that changes something carries the session's csrfToken in the header x-csrf-token,
 * else 403.
 */

/** GET and POST /api/console/session */
export interface ConsoleSession {
  user: { id: string; email: string; role: 'admin' | 'owner' }
  csrfToken: string
}

export type RunStatus = 'running' | 'success' | 'failed'
export type RunTrigger = 'schedule' | 'queue' | 'manual' | 'cli'
export type TickOutcome = 'enqueued' | 'coalesced' | 'missed' | 'skipped'

/** GET /api/console/overview */
export interface ConsoleOverview {
  generatedAt: string
  workers: ConsoleWorker[]
  attention: ConsoleAttention[]
  /** Of all schedules that are not paused, the soonest first. */
  nextTicks: { name: string; at: string }[]
  /** The last 24 full hours and the one under way, the oldest first. */
  hours: { from: string; success: number; failed: number; running: number }[]
  jobs: { total: number; scheduled: number; paused: number; late: number }
}

export interface ConsoleWorker {
  id: string
  startedAt: string
  lastSignAt: string
  liveness: 'lock' | 'heartbeat'
  isAlive: boolean
  running: { id: string; name: string; startedAt: string; progress: Progress | null }[]
}

export interface Progress {
  done: number
  total: number | null
}

export type ConsoleAttention =
  /** A tick is due and was not decided: no worker schedules it. */
  | { kind: 'late'; name: string; since: string; lateMs: number }
  /** Runs longer than nearly all of its runs before did, or than half of its time-out. */
  | { kind: 'overrunning'; name: string; runId: string; since: string; usualMs: number | null }
  /** The last run that ended has failed. */
  | { kind: 'failed'; name: string; runId: string; since: string; code: string; message: string }
  /** Its guard has blocked it, and nobody has approved it; can still be approved until then. */
  | {
      kind: 'blocked'
      name: string
      runId: string
      since: string
      due: number
      approvableUntil: string
    }
  | { kind: 'deadLetters'; name: string; count: number; since: string }
  | { kind: 'noWorker'; since: string | null }

/** GET /api/console/jobs */
export interface ConsoleJobs {
  jobs: ConsoleJob[]
}

export interface ConsoleJob {
  name: string
  description: string
  /** Null for a job that runs on request only. */
  schedule: {
    cron: string
    timeZone: string
    /** In words: `At 03:00`. */
    words: string
    missed: 'once' | 'all' | 'skip'
    overlap: 'skip' | 'queue' | 'allow'
    catchUpMs: number
    /** Null while it is paused. */
    nextAt: string | null
    lateMs: number | null
  } | null
  paused: { at: string; by: string | null; reason: string | null } | null
  guard: { maxRows: number | null; maxShare: number | null; minRows: number | null } | null
  timeoutMs: number
  retry: { limit: number; delayMs: number; maxDelayMs: number }
  lastRun: ConsoleRunBrief | null
  /** The last 60 ticks with what became of them, the oldest first. Empty for a job without a schedule. */
  ticks: ConsoleTick[]
  /** The last 60 runs that ended, dry runs left out, the oldest first. */
  recentRuns: (ConsoleRunBrief & { durationMs: number; cleaned: number | null })[]
  /** Whether it can't do without a payload. */
  takesPayload: boolean
}

export interface ConsoleRunBrief {
  id: string
  status: RunStatus
  startedAt: string
  endedAt: string | null
}

export interface ConsoleTick {
  scheduledFor: string
  outcome: TickOutcome
  reason: string | null
  /** More than 1 in a row that stands for several. */
  count: number
  /** Of its work, when it was enqueued and a worker has taken it. */
  run: ConsoleRunBrief | null
}

/** GET /api/console/jobs/:name */
export interface ConsoleJobDetail {
  job: ConsoleJob
  /** The last 365 days that had runs, by UTC date. */
  days: {
    date: string
    success: number
    failed: number
    p50Ms: number | null
    p95Ms: number | null
  }[]
  /** Of the last 1,000 runs that ended. */
  duration: { p50Ms: number | null; p95Ms: number | null; runs: number }
  /** The next 30 days of ticks, at most 1,000 of them; `isCut` when there are more. */
  upcoming: {
    at: string
    local: string
    offset: string
    mark: 'afterGap' | 'repeatedHour' | null
  }[]
  isCut: boolean
  /** What people did about it, the latest first; at most 20. */
  actions: ConsoleAction[]
}

/** Also in GET /api/jobs/runs/:id, as `actions`, in their order. */
export interface ConsoleAction {
  at: string
  /** run, dryRun, pause, resume, cancel, approve, redrive or discard. */
  action: string
  actor: string
  reason: string | null
}

/** GET /api/console/queue */
export interface ConsoleQueue {
  generatedAt: string
  jobs: {
    name: string
    waiting: number
    /** Of those, not to be started yet: delayed, or to be retried. */
    delayed: number
    active: number
    deadLetters: number
    oldestWaitingAt: string | null
    /** Ended in the last hour. */
    completedLastHour: number
    failedLastHour: number
  }[]
  /** Runs that ended, by minute, over the last hour, the oldest first. */
  throughput: { from: string; ended: number }[]
}

/**
 * GET /api/jobs/events, as server-sent events. Each carries an id; a client that comes back with Last-Event-ID
 * gets `reset` when something may have been missed, and should then ask for everything again.
 *
 *   event: run      data: {"ids": [...], "names": [...]}   these runs have started, progressed or ended
 *   event: tick     data: {"names": [...]}                 ticks of these jobs were decided
 *   event: reset    data: {}
 *   event: ping     data: {}                               every 10 s, without an id: the connection holds
 */
export interface ConsoleRunEvent {
  ids: string[]
  names: string[]
}

/** GET /api/jobs/runs.csv takes the filters of GET /api/jobs/runs and answers with up to 100,000 lines. */
