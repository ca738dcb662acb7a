import { createLocalTime, nextTicks } from '@roundsman/engine/internal'
import type { Job } from '@roundsman/engine'
import {
  demoArchiveOrders,
  demoImportFeed,
  demoNightlyReport,
  demoOrderLabel,
  demoRebuildSearch,
  demoSyncOrder,
} from '@roundsman/jobs/demo'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS
const WEEK_MS = 7 * DAY_MS

/** Rows of the engine's tables, named as their columns; what is absent is null. */
export interface DemoHistory {
  runs: DemoRun[]
  ticks: DemoTick[]
  actions: DemoAction[]
  /** Without a place: a round of the first worker gives one to what is due. */
  work: (DemoWork & { dueAt: Date; place: null })[]
  deadLetters: DemoLetter[]
  schedules: { name: string; cron: string; timeZone: string; cursor: Date }[]
}

export interface DemoRun {
  id: string
  name: string
  status: 'success' | 'failed'
  trigger: 'schedule' | 'queue' | 'manual'
  attempt: number
  scheduledFor?: Date
  startedAt: Date
  endedAt: Date
  details: Record<string, unknown>
  dryRun: boolean
  actor?: string
  reason?: string
  workId: string
  workerId: string
  errorCode?: string
  progress?: { done: number; total: number }
  batchMarks?: object[]
  cancelRequestedAt?: Date
  cancelRequestedBy?: string
  label?: string
  shown?: Record<string, number>
  dueAt?: Date
  logs?: { lines: LogLine[]; earlier: number }
  createdAt: Date
}

interface LogLine {
  at: number
  level: 'info' | 'warn'
  message: string
  fields?: string
}

interface DemoTick {
  name: string
  scheduledFor: Date
  outcome: 'enqueued' | 'coalesced' | 'missed' | 'skipped'
  reason?: string
  workId?: string
  count: number
  through?: Date
  workerId: string
  createdAt: Date
}

interface DemoAction {
  at: Date
  action: 'pause' | 'resume' | 'cancel' | 'run' | 'redrive'
  name: string
  runId?: string
  workId?: string
  actor: string
  reason?: string
}

interface DemoWork {
  id: string
  name: string
  attempt: number
  failures: number
  bytes: number
  label: string
  enqueuedAt: Date
  facts: { shown: Record<string, number> }
  payload: Record<string, unknown>
}

interface DemoLetter extends DemoWork {
  failedAt: Date
  errorCode: string
  errorMessage: string
}

interface Failure {
  code: string
  name?: string
  message: string
  stack?: string
  cause?: { code: string; message: string }
}

/** The console groups failures by name and by line of the stack. */
const FAILURES = {
  feedAway: {
    code: 'ECONNREFUSED',
    name: 'TypeError',
    message: 'fetch failed',
    stack: [
      'at readFeed (apps/worker/src/jobs/demoHandlers.ts:76:11)',
      'at async demoImportFeed (apps/worker/src/jobs/demoHandlers.ts:11:24)',
    ].join('\n'),
    cause: { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED feed.example.com:443' },
  },
  feedChanged: {
    code: 'handler_failed',
    name: 'TypeError',
    message: "Cannot read properties of undefined (reading 'price')",
    stack: [
      'at readProduct (src/feed/readProduct.ts:41:27)',
      'at readFeed (src/feed/readFeed.ts:18:12)',
      'at async importFeed (src/jobs/importFeed.ts:22:22)',
    ].join('\n'),
  },
  shopUnavailable: { code: 'shop_unavailable', message: 'The shop answered with status 503' },
  orderInvalid: {
    code: 'order_invalid',
    message: 'The shop refuses it: the order has no delivery address',
  },
  timeout: { code: 'timeout', message: 'The run took longer than 60 s' },
  workerLost: { code: 'worker_lost', message: 'The worker that executed it is gone' },
  cancelled: { code: 'cancelled', message: 'Cancelled by admin@example.com' },
} satisfies Record<string, Failure>

const WORKERS = ['demo-1:4711:5f0c2a91', 'demo-2:4711:c81e7d30']
const ADMIN = 'admin@example.com'

/**
 * Makes up a week of a small shop, up to `now`: what went well, and one of each thing that can go wrong. The same seed
 * and `now` give the same history.
 */
export function makeDemoHistory(now: Date, seed = 1): DemoHistory {
  const { random, uuid } = createRandom(seed)
  const at = (agoMs: number) => new Date(now.getTime() - agoMs)
  const begin = at(WEEK_MS)
  /** No worker ran for three hours, two nights ago. */
  const outage = { from: at(2 * DAY_MS), to: at(2 * DAY_MS - 3 * HOUR_MS) }
  /** A version of the shop could not read the feed's new format. */
  const badDeploy = { from: at(4 * DAY_MS), to: at(4 * DAY_MS - 5 * HOUR_MS) }
  const paused = { from: at(5 * DAY_MS), to: at(5 * DAY_MS - 2 * HOUR_MS) }
  /** The feed is still away. */
  const feedAwaySince = at(70 * MINUTE_MS)
  const history: DemoHistory = {
    runs: [],
    ticks: [],
    actions: [],
    work: [],
    deadLetters: [],
    schedules: [],
  }

  const between = (least: number, most: number) => Math.round(least + random() * (most - least))
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item
  const isWithin = (instant: Date, span: { from: Date; to: Date }) =>
    instant >= span.from && instant < span.to

  /** Adds a run that has ended, as the engine would have recorded it. */
  function addRun(run: {
    name: string
    startedAt: Date
    durationMs: number
    failure?: Failure
    counts?: Record<string, number>
    batches?: number
    trigger?: DemoRun['trigger']
    attempt?: number
    workId?: string
    more?: Partial<DemoRun>
  }): DemoRun {
    const { name, startedAt, durationMs, failure, counts = {}, batches = 0, more = {} } = run
    const { trigger = 'queue', attempt = 1 } = run
    const workId = run.workId ?? uuid()
    const endedAt = new Date(Math.min(startedAt.getTime() + durationMs, now.getTime()))
    const added: DemoRun = {
      id: attempt === 1 ? workId : uuid(),
      name,
      status: failure ? 'failed' : 'success',
      trigger,
      attempt,
      startedAt,
      endedAt,
      details: {
        ...counts,
        ...(batches > 0 && { batches }),
        ...(failure && { error: failure }),
      },
      dryRun: false,
      workId,
      workerId: pick(WORKERS),
      ...(failure && { errorCode: failure.code }),
      ...(batches > 0 && { batchMarks: markBatches(startedAt, endedAt, batches, counts) }),
      createdAt: startedAt,
      ...more,
    }
    history.runs.push(added)
    return added
  }

  /** Decides each tick of a schedule in a span, as a scheduler would, and calls `perform` for those that get a run. */
  function follow(
    job: Job,
    span: { from: Date; to: Date },
    perform: (tick: Date, workId: string, startedAt: Date) => void,
  ): void {
    const ticks: Date[] = []
    if (job.schedule === null) return
    for (const tick of nextTicks(job.schedule, span.from)) {
      if (tick > span.to) break
      ticks.push(tick)
    }
    for (const [nth, tick] of ticks.entries()) {
      const common = { name: job.name, scheduledFor: tick, count: 1, workerId: pick(WORKERS) }
      if (job === demoImportFeed && isWithin(tick, paused)) {
        history.ticks.push({ ...common, outcome: 'skipped', reason: 'paused', createdAt: tick })
        continue
      }
      const next = ticks[nth + 1]
      const isMissed = isWithin(tick, outage)
      if (isMissed && job.schedule.missed === 'skip') {
        history.ticks.push({ ...common, outcome: 'missed', createdAt: outage.to })
        continue
      }
      if (isMissed && next !== undefined && isWithin(next, outage)) {
        history.ticks.push({ ...common, outcome: 'coalesced', createdAt: outage.to })
        continue
      }
      const workId = uuid()
      const decidedAt = isMissed ? outage.to : tick
      history.ticks.push({ ...common, outcome: 'enqueued', workId, createdAt: decidedAt })
      perform(tick, workId, new Date(decidedAt.getTime() + between(20, 900)))
    }
  }

  const week = { from: begin, to: now }

  follow(demoImportFeed, week, (tick, workId, startedAt) => {
    const failure = isWithin(tick, badDeploy)
      ? FAILURES.feedChanged
      : tick >= feedAwaySince || random() < 0.03
        ? FAILURES.feedAway
        : undefined
    const scheduled = { name: demoImportFeed.name, trigger: 'schedule' as const, workId }
    const isForGood = tick >= feedAwaySince || isWithin(tick, badDeploy)
    const attempts = failure ? (isForGood ? 3 : 2) : 1
    let beginsAt = startedAt
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const fails = failure !== undefined && (isForGood || attempt < attempts)
      const durationMs = fails ? between(300, 900) : between(1_200, 4_800)
      if (beginsAt.getTime() + durationMs > now.getTime()) return
      addRun({
        ...scheduled,
        attempt,
        startedAt: beginsAt,
        durationMs,
        ...(fails
          ? { failure }
          : { counts: { imported: between(90, 190), orders: 4 }, batches: 4 }),
        more: {
          scheduledFor: tick,
          logs: { lines: logPages(beginsAt, fails ? 0 : 4), earlier: 0 },
          ...(attempt > 1 && { dueAt: new Date(beginsAt.getTime() - between(20, 600)) }),
        },
      })
      beginsAt = new Date(beginsAt.getTime() + durationMs + between(20_000, 26_000) * attempt)
    }
  })

  follow(demoArchiveOrders, week, (tick, workId, startedAt) => {
    // Yesterday somebody imported the same orders twice, so the guard blocked this run.
    const isBlocked = isWithin(tick, { from: at(20 * HOUR_MS), to: at(19 * HOUR_MS) })
    const archived = between(120, 480)
    const [due, allowed] = [12_000, 5_000]
    const message = `${due} rows are due and at most ${allowed} may be changed`
    const failure = isBlocked ? { code: 'guard_blocked', message } : undefined
    addRun({
      name: demoArchiveOrders.name,
      trigger: 'schedule',
      workId,
      startedAt,
      durationMs: isBlocked ? between(8, 30) : between(600, 2_600),
      ...(failure ? { failure } : { counts: { archived }, batches: Math.ceil(archived / 100) }),
      more: {
        scheduledFor: tick,
        ...(failure && { details: { guard: { due, allowed }, error: failure } }),
      },
    })
  })

  // The week, and the days around the last change of Berlin's clocks.
  const change = findClockChange(demoNightlyReport.schedule?.timeZone ?? 'UTC', begin)
  const nights = [
    ...(change === null
      ? []
      : [
          {
            from: new Date(change.getTime() - 3 * DAY_MS),
            to: new Date(Math.min(change.getTime() + 2 * DAY_MS, begin.getTime())),
          },
        ]),
    week,
  ]
  for (const span of nights) {
    follow(demoNightlyReport, span, (tick, workId, startedAt) => {
      addRun({
        name: demoNightlyReport.name,
        trigger: 'schedule',
        workId,
        startedAt,
        durationMs: between(4_900, 9_000),
        counts: { reported: 12 },
        batches: 12,
        more: { scheduledFor: tick, progress: { done: 12, total: 12 } },
      })
    })
  }

  follow(demoRebuildSearch, week, (tick, workId, startedAt) => {
    const daysAgo = Math.floor((now.getTime() - tick.getTime()) / DAY_MS)
    const common = {
      name: demoRebuildSearch.name,
      trigger: 'schedule' as const,
      workId,
      startedAt,
    }
    const more = { scheduledFor: tick, progress: { done: 30_000, total: 30_000 } }
    const counts = { indexed: 30_000 }
    if (daysAgo === 3) {
      // An admin cancelled it because it was in the way of a deployment.
      const durationMs = 6 * MINUTE_MS
      const cancelledAt = new Date(startedAt.getTime() + durationMs - 400)
      const run = addRun({
        ...common,
        durationMs,
        failure: FAILURES.cancelled,
        counts: { indexed: 11_500 },
        batches: 23,
        more: {
          ...more,
          progress: { done: 11_500, total: 30_000 },
          cancelRequestedAt: cancelledAt,
          cancelRequestedBy: ADMIN,
        },
      })
      history.actions.push({
        at: cancelledAt,
        action: 'cancel',
        name: run.name,
        runId: run.id,
        workId,
        actor: ADMIN,
        reason: 'In the way of the deployment',
      })
    } else if (daysAgo === 5) {
      // Its machine was replaced, and another worker took the work at once.
      const lost = addRun({
        ...common,
        durationMs: 4 * MINUTE_MS,
        failure: FAILURES.workerLost,
        counts: { indexed: 8_000 },
        batches: 16,
        more: { ...more, progress: { done: 8_000, total: 30_000 } },
      })
      addRun({
        ...common,
        attempt: 2,
        startedAt: new Date(lost.endedAt.getTime() + 1_200),
        durationMs: between(11, 14) * MINUTE_MS,
        counts,
        batches: 60,
        more,
      })
    } else {
      // Last night it took longer than ever before.
      const minutes = daysAgo === 0 ? 52 : between(11, 16)
      addRun({ ...common, durationMs: minutes * MINUTE_MS, counts, batches: 60, more })
    }
  })

  addOrders()
  history.actions.push(
    {
      at: paused.from,
      action: 'pause',
      name: demoImportFeed.name,
      actor: ADMIN,
      reason: 'The feed is being moved',
    },
    { at: paused.to, action: 'resume', name: demoImportFeed.name, actor: ADMIN },
  )
  for (const job of [demoImportFeed, demoArchiveOrders, demoNightlyReport, demoRebuildSearch]) {
    if (job.schedule === null) continue
    const { cron, timeZone } = job.schedule
    history.schedules.push({ name: job.name, cron, timeZone, cursor: now })
  }
  return history

  /** Adds the orders: more by day than by night. Some need a second attempt, and a few are given up. */
  function addOrders(): void {
    let orderId = 104_200
    for (let hour = new Date(begin); hour < now; hour = new Date(hour.getTime() + HOUR_MS)) {
      if (isWithin(hour, outage)) continue
      const byDay = Math.sin(((hour.getUTCHours() - 6) / 24) * 2 * Math.PI)
      const orders = Math.max(2, Math.round(12 + 10 * byDay + between(-3, 3)))
      for (let nth = 0; nth < orders; nth++) {
        const enqueuedAt = new Date(hour.getTime() + between(0, HOUR_MS - 1))
        orderId += 1
        if (enqueuedAt < at(10 * MINUTE_MS)) addOrder(orderId, enqueuedAt)
      }
    }
    const letters: [agoMs: number, failure: Failure][] = [
      ...[70, 52, 47, 33, 26, 21].map((hours): [number, Failure] => [
        hours * HOUR_MS,
        FAILURES.shopUnavailable,
      ]),
      ...[60, 28, 5].map((hours): [number, Failure] => [hours * HOUR_MS, FAILURES.orderInvalid]),
    ]
    for (const [agoMs, failure] of letters) addDeadLetter((orderId += 1), at(agoMs), failure)
    // Waiting work for some minutes, some of it to start later, and some to be retried.
    for (let nth = 0; nth < 30; nth++) addWaiting((orderId += 1), at(between(5_000, 8 * MINUTE_MS)))
    for (let nth = 1; nth <= 6; nth++) addWaiting((orderId += 1), at(MINUTE_MS), at(-nth * HOUR_MS))
    for (let nth = 1; nth <= 3; nth++) {
      const id = addWaiting((orderId += 1), at(4 * MINUTE_MS), at(-nth * 4 * MINUTE_MS), 2)
      addRun({
        name: demoSyncOrder.name,
        more: aboutOrder(orderId),
        startedAt: at(3 * MINUTE_MS),
        durationMs: between(300, 800),
        workId: id,
        failure: FAILURES.shopUnavailable,
      })
    }
  }

  /** Adds an order that was handed over at the first or the second attempt. */
  function addOrder(orderId: number, enqueuedAt: Date): void {
    const workId = uuid()
    const failed =
      random() < 0.06 ? (orderId % 4 === 0 ? FAILURES.timeout : FAILURES.shopUnavailable) : null
    let startedAt = new Date(enqueuedAt.getTime() + between(5, 1_500))
    const common = { name: demoSyncOrder.name, workId }
    let dueAt: Date | undefined
    if (failed) {
      const durationMs = failed === FAILURES.timeout ? 60_000 : between(300, 900)
      addRun({
        ...common,
        startedAt,
        durationMs,
        failure: failed,
        more: aboutOrder(orderId, startedAt),
      })
      dueAt = new Date(startedAt.getTime() + durationMs + between(15_000, 20_000))
      startedAt = new Date(dueAt.getTime() + between(5, 900))
    }
    addRun({
      ...common,
      more: { ...aboutOrder(orderId, startedAt), ...(dueAt && { dueAt }) },
      attempt: failed ? 2 : 1,
      startedAt,
      durationMs: between(220, 1_100) + (random() < 0.05 ? between(2_000, 6_000) : 0),
      counts: { synced: 1 },
    })
  }

  /** Adds an order that was given up, with the run of each attempt. */
  function addDeadLetter(orderId: number, enqueuedAt: Date, failure: Failure): void {
    const id = uuid()
    const attempts = failure === FAILURES.orderInvalid ? 1 : 4
    let startedAt = new Date(enqueuedAt.getTime() + between(20, 900))
    for (let attempt = 1; attempt <= attempts; attempt++) {
      const { endedAt } = addRun({
        name: demoSyncOrder.name,
        startedAt,
        durationMs: between(300, 900),
        attempt,
        workId: id,
        failure,
        more: {
          ...aboutOrder(orderId, startedAt),
          ...(attempt > 1 && { dueAt: new Date(startedAt.getTime() - between(5, 900)) }),
        },
      })
      if (attempt < attempts) {
        startedAt = new Date(endedAt.getTime() + 15_000 * 2 ** (attempt - 1) + between(0, 5_000))
        continue
      }
      history.deadLetters.push({
        ...workOf(id, orderId, enqueuedAt, attempts),
        // The last attempt's failure is one as well.
        failures: attempts,
        failedAt: endedAt,
        errorCode: failure.code,
        errorMessage: failure.message,
      })
    }
  }

  /** Adds waiting work, and returns its id. With an `attempt` above 1 it waits to be tried again. */
  function addWaiting(orderId: number, enqueuedAt: Date, dueAt = enqueuedAt, attempt = 1): string {
    const id = uuid()
    history.work.push({ ...workOf(id, orderId, enqueuedAt, attempt), dueAt, place: null })
    return id
  }

  function workOf(id: string, orderId: number, enqueuedAt: Date, attempt: number): DemoWork {
    const payload = { orderId }
    return {
      id,
      name: demoSyncOrder.name,
      attempt,
      failures: attempt - 1,
      bytes: JSON.stringify(payload).length,
      label: demoOrderLabel(orderId),
      enqueuedAt,
      facts: { shown: { orderId } },
      payload,
    }
  }
}

/** What the queue shows of an order; with `startedAt` also what its handler logged. */
function aboutOrder(orderId: number, startedAt?: Date): Pick<DemoRun, 'label' | 'shown' | 'logs'> {
  const lines: LogLine[] = startedAt
    ? [
        {
          at: startedAt.getTime() + 3,
          level: 'info',
          message: 'order is handed over',
          fields: `orderId=${orderId}`,
        },
      ]
    : []
  return {
    label: demoOrderLabel(orderId),
    shown: { orderId },
    ...(lines.length > 0 && { logs: { lines, earlier: 0 } }),
  }
}

/** Log lines as the handler writes them: one for each page read, or a warning when there were none. */
function logPages(startedAt: Date, pages: number): LogLine[] {
  const lines = Array.from({ length: pages }, (_, nth): LogLine => ({
    at: startedAt.getTime() + 310 * (nth + 1),
    level: 'info',
    message: 'page read',
    fields: `page=${nth + 1} products=${36 + nth}`,
  }))
  if (pages > 0) return lines
  return [
    {
      at: startedAt.getTime() + 280,
      level: 'warn',
      message: 'the feed could not be read',
      fields: 'page=1',
    },
  ]
}

/**
 * Marks of batches as a worker keeps them: the first, the last and some between, with what had been counted by then.
 */
function markBatches(
  startedAt: Date,
  endedAt: Date,
  batches: number,
  counts: Record<string, number>,
): object[] {
  const shown = Math.min(batches, 17)
  return Array.from({ length: shown }, (_, nth) => {
    const done = shown === 1 ? batches : 1 + Math.round((nth * (batches - 1)) / (shown - 1))
    const share = done / batches
    const ms = endedAt.getTime() - startedAt.getTime()
    return {
      at: Math.round(startedAt.getTime() + ms * share * 0.98),
      batches: done,
      counts: Object.fromEntries(
        Object.entries(counts).map(([name, count]) => [name, Math.round(count * share)]),
      ),
    }
  })
}

/**
 * Finds the first hour after the last change of a zone's clocks before an instant; null if there was none within a
 * year.
 */
function findClockChange(timeZone: string, before: Date): Date | null {
  const { offsetMs } = createLocalTime(timeZone)
  const today = offsetMs(before)
  for (let hours = 1; hours < 366 * 24; hours++) {
    const earlier = new Date(before.getTime() - hours * HOUR_MS)
    if (offsetMs(earlier) !== today) return new Date(earlier.getTime() + HOUR_MS)
  }
  return null
}

/** Mulberry32, a random generator: small, fast, and the same everywhere. */
function createRandom(seed: number): { random: () => number; uuid: () => string } {
  let state = seed >>> 0
  const next = () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return (mixed ^ (mixed >>> 14)) >>> 0
  }
  return {
    random: () => next() / 4_294_967_296,
    uuid() {
      const hex = Array.from({ length: 4 }, () => next().toString(16).padStart(8, '0')).join('')
      const tail = `8${hex.slice(17, 20)}-${hex.slice(20)}`
      return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-${tail}`
    },
  }
}
