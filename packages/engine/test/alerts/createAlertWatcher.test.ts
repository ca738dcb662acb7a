// Not quick: waits for webhooks that hang.
import { createHmac, randomUUID } from 'node:crypto'
import { type Monitor, openMonitor, waitFor, useLivingWorkers } from '@roundsman/testing'
import { hostileValue, makeHostile } from '@roundsman/testing/hostileValues'
import fc from 'fast-check'
import pg from 'pg'
import { describe, expect, it, onTestFinished } from 'vitest'
import {
  createAlertWatcher,
  createAlertWebhook,
  type AlertNotice,
  type AlertOptions,
} from '../../src/alerts.ts'
import { lookOnce, settleDelivery, takeDeliveries } from '../../src/alerts/alertLedger.ts'
import { judgeJobs } from '../../src/judge/judgeJobs.ts'
import { ArgumentError, defineJob, type Job } from '../../src/index.ts'
import { useTestRuntime } from '../useTestRuntime.ts'
import { countLockWaits, LOOKED_FOR_DEADLOCK_MS } from '../countLockWaits.ts'
import { startTestWorker } from '../startTestWorker.ts'

const importFeed = defineJob({ name: 'importFeed' })
const nightly = defineJob({ name: 'nightly', schedule: { cron: '0 0 * * *' } })
const mailing = defineJob({ name: 'mailing' })
const jobs = [importFeed, nightly, mailing]
/** It has left the catalogue. */
const gone = defineJob({ name: 'gone' })
/** Switches the alert about missing workers off: no worker lives in these tests. */
const NEVER_MS = 1e12

const runtime = useTestRuntime({
  cleared: ['JobAlert', 'JobAlertDelivery', 'JobThrottle', 'JobWorker', 'JobSchedule'],
})
useLivingWorkers(() => runtime.url, 'w')
it('a look that waits for what a transaction of the host has locked gives way, and PostgreSQL finds no deadlock', async () => {
  const foreign = new pg.Client({ connectionString: runtime.url })
  await foreign.connect()
  await foreign.query('begin')
  await foreign.query('lock table "JobAlert" in share mode')
  watch({ channels: [], limits: { noWorkerMs: 0 } })
  const waits = (longerThanMs = 0) => countLockWaits(runtime, { longerThanMs })
  await waitFor(() => waits(), { message: 'a look waits' })
  await waitFor(async () => (await waits()) === 0 || (await waits(LOOKED_FOR_DEADLOCK_MS)), {
    message: 'it gave way',
  })
  await foreign.query('select from "JobThrottle" for update')
  await foreign.query('lock table "JobThrottle" in share mode')
  await foreign.end()
  const found = await waitFor(async () => (await runtime.rows('select from "JobAlert"')).length)
  expect(found).toBeGreaterThan(0)
})

function watch(options: AlertOptions & { jobs?: readonly Job[] }): void {
  const watcher = createAlertWatcher({
    databaseUrl: runtime.url,
    schema: 'public',
    jobs,
    log: runtime.log,
    intervalMs: 20,
    retryDelayMs: 1,
    ...options,
    limits: { noWorkerMs: NEVER_MS, ...options.limits },
  })
  onTestFinished(() => watcher.stop())
  watcher.start()
}

const noticesOf = ({ requests }: Monitor): AlertNotice[] =>
  requests.map(({ body }) => JSON.parse(body) as AlertNotice)

async function insertDeadLetters(
  code: string,
  count = 1,
  name: string = importFeed.name,
): Promise<void> {
  await runtime.rows(
    `insert into "JobDeadLetter" ("id", "name", "attempt", "bytes", "payload", "errorCode", "errorMessage")
     select gen_random_uuid(), $1, 3, 2, '{}', $2, 'secret' from generate_series(1, $3::int)`,
    [name, code, count],
  )
}

/** Inserts runs by how they ended; null is a success. They are of the last hour unless told otherwise. */
async function insertRuns(
  codes: readonly (string | null)[],
  {
    name = 'importFeed',
    dryRun = false,
    hoursAgo = 0,
    minutesAgo = 0,
  }: { name?: string; dryRun?: boolean; hoursAgo?: number; minutesAgo?: number } = {},
): Promise<void> {
  await runtime.rows(
    `insert into "JobRun" ("id", "name", "status", "trigger", "workerId", "startedAt", "endedAt", "errorCode", "dryRun")
     select gen_random_uuid(), $2, (case when code is null then 'success' else 'failed' end)::"JobRunStatus",
            'queue', 'w', now() - nth * interval '1 second' - $4::float8 * interval '1 hour', now(), code, $3
     from unnest($1::text[]) with ordinality run(code, nth)`,
    [codes, name, dryRun, hoursAgo + minutesAgo / 60],
  )
}

async function insertWaiting(name: string, count: number, minutes = 5): Promise<void> {
  await runtime.rows(
    `insert into "JobWork" ("id", "name", "dueAt", "bytes", "payload")
     select gen_random_uuid(), $1, now() - $3 * interval '1 minute', 2, '{}' from generate_series(1, $2::int)`,
    [name, count, minutes],
  )
}

/** Returns what is raised together with a dead letter: one look finds all that is wrong. */
async function raisedBeside(options: Partial<AlertOptions> = {}): Promise<string[]> {
  await insertDeadLetters('feed_broken')
  watch({ channels: [], intervalMs: 60_000, ...options })
  const raised = await waitFor(async () => {
    const rows = await runtime.rows<{ kind: string; name: string }>(
      `select "kind", "name" from "JobAlert" where "raisedAt" is not null and "endedAt" is null order by "kind", "name"`,
    )
    return rows.some(({ kind }) => kind === 'deadLetters') && rows
  })
  return raised.flatMap(({ kind, name }) => (kind === 'deadLetters' ? [] : [`${kind} ${name}`]))
}

/** A worker that lives and takes the work of these jobs. */
async function insertWorker(...names: string[]): Promise<void> {
  await runtime.rows(
    `insert into "JobWorker" ("id", "lanes")
     select 'w', jsonb_object_agg(name, 1) from unnest($1::text[]) name`,
    [names],
  )
}

/** The schedule of the nightly job, which is not due. */
async function insertSchedule(): Promise<void> {
  await runtime.rows(
    `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor", "nextAt") values ('nightly', '0 0 * * *', 'UTC', now(), now() + interval '1 day')`,
  )
}

async function insertRaised(id: string, endedHoursAgo: number | null = null): Promise<void> {
  await runtime.rows(
    `insert into "JobAlert" ("id", "kind", "name", "code", "facts", "raisedAt", "endedAt")
     values ($1, 'deadLetters', 'importFeed', '', '{"count":1}', now(), now() - $2::float8 * interval '1 hour')`,
    [id, endedHoursAgo],
  )
}

const deliveries = () =>
  runtime.rows<{ event: string; attempts: number; isTaken: boolean; isOver: boolean }>(
    `select "event", "attempts", "isTaken", "endedAt" is not null as "isOver" from "JobAlertDelivery" order by "event"`,
  )

describe('of many watchers', () => {
  it('one tells of each cause once, and once when it is over', async () => {
    const receiver = await openMonitor()
    const channels = [createAlertWebhook({ url: receiver.url })]
    for (let nth = 0; nth < 4; nth++) watch({ channels })

    await insertDeadLetters('feed_broken', 2)
    await waitFor(() => receiver.requests.length === 1)
    await insertDeadLetters('feed_broken')
    await insertDeadLetters('timeout', 1, 'mailing')
    await waitFor(() => receiver.requests.length === 2)
    await runtime.rows('delete from "JobDeadLetter"')
    await waitFor(() => receiver.requests.length === 4)
    await insertDeadLetters('feed_broken')
    await waitFor(() => receiver.requests.length === 5)

    const told = noticesOf(receiver).map(({ event, kind, job, code }) => [event, kind, job, code])
    expect(told.slice(0, 2)).toEqual([
      ['began', 'deadLetters', 'importFeed', 'feed_broken'],
      ['began', 'deadLetters', 'mailing', 'timeout'],
    ])
    expect(told.slice(2, 4).toSorted((a, b) => `${a[3]}`.localeCompare(`${b[3]}`))).toEqual([
      ['ended', 'deadLetters', 'importFeed', 'feed_broken'],
      ['ended', 'deadLetters', 'mailing', 'timeout'],
    ])
    expect(told[4]).toEqual(['began', 'deadLetters', 'importFeed', 'feed_broken'])
    expect((await deliveries()).every(({ attempts }) => attempts === 1)).toBe(true)
    // The last alert is a new one, with an id of its own.
    const ids = new Set(noticesOf(receiver).map(({ id }) => id))
    expect(ids.size).toBe(3)
    const began = runtime.lines.filter(({ msg }) => msg === 'alert began')
    expect(began.filter(({ alertId }) => ids.has(String(alertId)))).toHaveLength(3)
  })

  it('one looks where another has not just done so', async () => {
    const look = () =>
      lookOnce(runtime.database, {
        round: 'a',
        everyMs: 60_000,
        names: [],
        find: async () => ({ causes: [], others: [] }),
      })
    expect(await look()).toEqual({ raised: [], ended: [] })
    expect(await look()).toBeNull()
  })

  it('one leaves alone what another one begins to send at the same moment', async () => {
    const receiver = await openMonitor()
    const id = randomUUID()
    await insertDeadLetters('feed_broken')
    await insertRaised(id)
    await runtime.database.transaction(async (tx) => {
      await tx.query(
        `insert into "JobAlertDelivery" ("alertId", "event", "channel", "dueAt")
         values ($1, 'began', 'webhook', now() + interval '1 hour')`,
        [id],
      )
      watch({ channels: [createAlertWebhook({ url: receiver.url })] })
      // It found no row of the alert, and wants to insert one, too.
      await waitFor(async () => {
        const waiting = await runtime.rows(
          `select from pg_stat_activity where datname = current_database()
             and application_name = 'roundsman alerts' and wait_event_type = 'Lock'`,
        )
        return waiting.length === 1
      })
    })
    await insertDeadLetters('timeout', 1, 'mailing')
    await waitFor(() => receiver.requests.length > 0)

    expect(noticesOf(receiver)).toMatchObject([{ code: 'timeout' }])
  })

  it('another one sends what one had begun to send when it died', async () => {
    const receiver = await openMonitor()
    const id = randomUUID()
    await insertDeadLetters('feed_broken')
    await insertRaised(id)
    await runtime.rows(
      `insert into "JobAlertDelivery" ("alertId", "event", "channel", "dueAt") values ($1, 'began', 'webhook', now())`,
      [id],
    )

    watch({ channels: [createAlertWebhook({ url: receiver.url })] })

    await waitFor(async () => (await deliveries())[0]?.isTaken)
    expect(noticesOf(receiver)).toMatchObject([{ id, event: 'began' }])
    expect(await deliveries()).toMatchObject([{ attempts: 2 }])
  })

  it('one that was given up for dead while it sent says nothing of what another one does', async () => {
    const id = randomUUID()
    await insertRaised(id)
    const [taken] = await takeDeliveries(runtime.database, ['hook'], -1_000)
    const [again] = await takeDeliveries(runtime.database, ['hook'], 60_000)
    expect([taken?.attempt, again?.attempt]).toEqual([1, 2])
    await settleDelivery(runtime.database, taken!, { kind: 'taken' })
    expect(await deliveries()).toMatchObject([{ isTaken: false, isOver: false }])
    await settleDelivery(runtime.database, again!, { kind: 'taken' })
    expect(await deliveries()).toMatchObject([{ isTaken: true, isOver: true }])
  })

  it('one with a new channel tells there what ended within the hour, and nothing older', async () => {
    const id = randomUUID()
    await insertRaised(id, 0.5)
    await insertRaised(randomUUID(), 2)
    const told: string[] = []
    for (let looks = 0; looks < 3; looks++) {
      for (const taken of await takeDeliveries(runtime.database, ['hook'], 60_000)) {
        told.push(`${taken.event} ${taken.alert.id}`)
        await settleDelivery(runtime.database, taken, { kind: 'taken' })
      }
    }
    expect(told).toEqual([`began ${id}`, `ended ${id}`])
  })

  it('one is not kept from what is new by all that was told before', async () => {
    await runtime.rows(
      `with alert as (
         insert into "JobAlert" ("id", "kind", "name", "code", "facts", "startedAt", "raisedAt")
         select gen_random_uuid(), 'deadLetters', 'importFeed', n::text, '{}', now() - interval '1 hour', now()
         from generate_series(1, 30) n returning "id"
       )
       insert into "JobAlertDelivery" ("alertId", "event", "channel", "dueAt", "endedAt", "isTaken")
       select "id", 'began', 'hook', now() - interval '1 hour', now(), true from alert`,
    )
    const id = randomUUID()
    await insertRaised(id)
    expect(await takeDeliveries(runtime.database, ['hook'], 60_000)).toMatchObject([
      { alert: { id }, event: 'began' },
    ])
  })

  it('one forgets what ended a month ago, and that it was told', async () => {
    const [kept, old] = [randomUUID(), randomUUID()]
    await insertRaised(kept, 29 * 24)
    await insertRaised(old, 31 * 24)
    await runtime.rows(
      `insert into "JobAlertDelivery" ("alertId", "event", "channel", "dueAt", "endedAt")
       select unnest($1::uuid[]), 'began', 'hook', now(), now()`,
      [[kept, old]],
    )
    await raisedBeside()
    expect(await runtime.rows(`select "id" from "JobAlert" where "endedAt" is not null`)).toEqual([
      { id: kept },
    ])
    expect(await runtime.rows(`select "alertId" from "JobAlertDelivery"`)).toEqual([
      { alertId: kept },
    ])
  })

  it('one of another version leaves alone what it does not know, until nobody has seen it for a day', async () => {
    const receiver = await openMonitor()
    await runtime.rows(
      `insert into "JobAlert" ("id", "kind", "name", "code", "facts", "raisedAt", "seenAt")
       values (gen_random_uuid(), 'late', 'newJob', '', '{}', null, now()),
              (gen_random_uuid(), 'late', 'formerJob', '', '{}', null, now() - interval '25 hours')`,
    )

    watch({ channels: [createAlertWebhook({ url: receiver.url })] })
    await insertDeadLetters('feed_broken')
    await waitFor(() => receiver.requests.length === 1)

    expect(await runtime.rows(`select "name" from "JobAlert" where "kind" = 'late'`)).toEqual([
      { name: 'newJob' },
    ])
  })
})

describe('watchers with other jobs, on one database,', () => {
  /** A look of a program that knows these jobs and finds these causes. */
  const look = (round: string, names: readonly string[], found: readonly string[]) =>
    lookOnce(runtime.database, {
      ...{ round, everyMs: 0, names },
      find: async () => ({
        causes: found.map((name) => ({
          ...{ kind: 'failing' as const, name, code: '', facts: {}, afterMs: 0 },
        })),
        others: [],
      }),
    })
  const namesOf = (rows: readonly { name: string }[] = []) => rows.map(({ name }) => name)

  it('tell each of their own jobs at once', async () => {
    for (const { name } of [importFeed, mailing])
      await insertRuns(['broken', 'broken', 'broken'], { name })
    for (const own of [[importFeed], [mailing]])
      watch({ channels: [], intervalMs: 60_000, jobs: own })
    const raised = () =>
      runtime.column('select "name" from "JobAlert" where "raisedAt" is not null order by "name"')
    await waitFor(async () => (await raised()).length === 2)
    expect(await raised()).toEqual(['importFeed', 'mailing'])
  })

  it('tell once what each of them finds, and end it once none of them does', async () => {
    const known = ['importFeed']
    expect(namesOf((await look('a', known, ['importFeed']))?.raised)).toEqual(['importFeed'])
    for (let looks = 0; looks < 3; looks++) {
      expect(await look('b', known, [])).toEqual({ raised: [], ended: [] })
      expect(await look('a', known, ['importFeed'])).toEqual({ raised: [], ended: [] })
    }
    expect(await look('a', known, [])).toEqual({ raised: [], ended: [] })
    expect(namesOf((await look('b', known, []))?.ended)).toEqual(['importFeed'])
  })

  it('wait for no version that is gone', async () => {
    await look('old', [], ['importFeed'])
    await runtime.rows(
      `update "JobThrottle" set "freeAt" = now() - interval '61 seconds' where "name" = 'alert round old'`,
    )
    expect(namesOf((await look('new', ['importFeed'], []))?.ended)).toEqual(['importFeed'])
  })

  it('end what any of them can find', async () => {
    await runtime.rows(
      `insert into "JobAlert" ("id", "kind", "name", "code", "facts", "raisedAt")
       select gen_random_uuid(), kind, 'gone', '', '{}', now()
       from unnest(array['deadLetters', 'paused', 'endedWorkers', 'schedulesRefused', 'inDoubt', 'late']) kind`,
    )
    await look('a', [], [])
    const open = `select "kind" from "JobAlert" where "endedAt" is null`
    expect(await runtime.column(open)).toEqual(['late'])
  })
})

describe('what is told', () => {
  async function firstNotice(options: Partial<AlertOptions> = {}): Promise<AlertNotice> {
    const receiver = await openMonitor()
    watch({ channels: [createAlertWebhook({ url: receiver.url })], ...options })
    await waitFor(() => receiver.requests.length > 0)
    return noticesOf(receiver)[0]!
  }

  it('that no worker lives, once it has been so for as long as a deployment takes', async () => {
    expect(await firstNotice({ limits: { noWorkerMs: 0 } })).toMatchObject({
      kind: 'noWorker',
      job: null,
      text: 'No worker is running, so no job is scheduled or run.',
      url: null,
    })
  })

  it.each(
    (['failureOfOneMs', 'queueMinWaiting', 'queueGrowthMs', 'noWorkerMs'] as const).flatMap(
      (limit) => [1e15, Number.MAX_VALUE, Infinity].map((value) => [limit, value] as const),
    ),
  )('the rest, whatever is switched off by %s: %d', async (limit, value) => {
    await insertRuns(['broken', 'broken', 'broken'])
    await insertWorker(mailing.name)
    await insertWaiting(mailing.name, 200)
    await insertWaiting(importFeed.name, 1)
    const raised = await raisedBeside({
      limits: { noWorkerMs: 0, queueGrowthMs: 0, [limit]: value },
    })
    const all = ['backlog mailing', 'failing importFeed', 'noWorker importFeed', 'noWorker nightly']
    const off = {
      failureOfOneMs: null,
      noWorkerMs: 'noWorker',
      queueMinWaiting: all[0],
      queueGrowthMs: all[0],
    }
    expect(raised).toEqual(all.filter((one) => off[limit] == null || !one.startsWith(off[limit])))
  })

  it('what is wrong, after the clock of the database was set back', async () => {
    // As the last look left it, an hour from now.
    await runtime.rows(
      `insert into "JobThrottle" ("name", "freeAt") values ('alert round', now() + interval '1 hour')`,
    )
    expect(await raisedBeside({ limits: { noWorkerMs: 0 } })).toEqual(['noWorker '])
    const [round] = await runtime.rows<{ isSoon: boolean }>(
      `select "freeAt" <= now() + interval '1 minute' as "isSoon" from "JobThrottle"`,
    )
    expect(round).toEqual({ isSoon: true })
  })

  it('nothing of what was wrong for less than that', async () => {
    const receiver = await openMonitor()
    await insertSchedule()
    watch({ channels: [createAlertWebhook({ url: receiver.url })] })
    await waitFor(async () => (await runtime.rows('select from "JobAlert"')).length === 1)

    await runtime.rows(`insert into "JobWorker" ("id", "heartbeatAt") values ('w', '2999-01-01Z')`)
    await waitFor(
      async () =>
        (await runtime.rows('select from "JobAlert" where "kind" = \'noWorker\'')).length === 0,
    )
    await insertDeadLetters('feed_broken')
    await waitFor(() => receiver.requests.length > 0)

    expect(noticesOf(receiver)).toMatchObject([{ kind: 'deadLetters' }])
  })

  it('that a schedule is late', async () => {
    await insertWorker(nightly.name)
    await runtime.rows(
      `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ('nightly', '0 0 * * *', 'UTC', '2026-05-01T00:00Z')`,
    )
    expect(await firstNotice()).toMatchObject({
      kind: 'late',
      job: 'nightly',
      text: expect.stringMatching(
        /^A tick of nightly was due \d+ d ago, and no worker has decided it\.$/,
      ),
      facts: { since: '2026-05-02T00:00:00.000Z' },
    })
  })

  it('tells of work that nobody knows, and when it is gone', async () => {
    const receiver = await openMonitor()
    await insertWorker(importFeed.name)
    await insertWaiting(gone.name, 3)
    await insertDeadLetters('feed_broken', 1, gone.name)
    watch({ channels: [createAlertWebhook({ url: receiver.url })], limits: { noWorkerMs: 0 } })
    const told = (event: string) =>
      noticesOf(receiver)
        .filter((notice) => notice.event === event && notice.job === gone.name)
        .map(({ kind, text, url }) => ({ kind, text, url }))
        .toSorted((one, other) => one.kind.localeCompare(other.kind))
    await waitFor(() => told('began').length > 1)
    const about = { url: null }
    expect(told('began')).toEqual([
      {
        ...about,
        kind: 'deadLetters',
        text: 'gone has 1 dead letter, 1 in the last hour, with feed_broken.',
      },
      {
        ...about,
        kind: 'noWorker',
        text: 'No living worker takes gone, and this catalogue does not have it: 3 pieces of work wait, the oldest for 5 min.',
      },
    ])
    await runtime.rows('delete from "JobDeadLetter"')
    await runtime.rows('delete from "JobWork"')
    await waitFor(() => told('ended').length > 1)
    expect(told('ended').map(({ kind }) => kind)).toEqual(['deadLetters', 'noWorker'])
  })

  it('that a session has waited long for a lock, and nothing of one that waits for seconds', async () => {
    await insertWorker(importFeed.name, nightly.name)
    const receiver = await openMonitor()
    const [holder, waiter] = [0, 1].map(
      () => new pg.Client({ connectionString: runtime.url, application_name: 'psql' }),
    ) as [pg.Client, pg.Client]
    await Promise.all([holder.connect(), waiter.connect()])
    await holder.query('begin')
    await holder.query('select pg_advisory_xact_lock(7)')
    const { rows } = await holder.query<{ pid: number }>('select pg_backend_pid() as pid')
    const waits = waiter.query('select pg_advisory_lock(7)')
    watch({
      channels: [createAlertWebhook({ url: receiver.url })],
      limits: { queueGrowthMs: 1 },
    })
    const told = () => noticesOf(receiver).filter(({ kind }) => kind === 'lockWait')
    await waitFor(() => told().length > 0, { timeoutMs: 60_000 })
    await holder.end()
    await waits
    await waiter.end()
    expect(told()[0]!.text).toMatch(
      new RegExp(
        `^pid \\d+ \\(psql\\) has waited \\d+ s for a lock of pid ${rows[0]!.pid} \\(psql, idle in transaction\\)`,
      ),
    )
    await waitFor(() => told().some(({ event }) => event === 'ended'))
  })

  it('nothing of work that a worker of another version takes, or of which none lives to tell', async () => {
    await insertWaiting(gone.name, 3)
    const nothing = { limits: { noWorkerMs: 0 } }
    expect(await raisedBeside(nothing)).toEqual(['noWorker '])
    await insertWorker(importFeed.name, gone.name)
    expect(await raisedBeside(nothing)).not.toContain('noWorker gone')
  })

  it('that work has ended a second worker, at once', async () => {
    const receiver = await openMonitor()
    await insertWorker(importFeed.name)
    await insertWaiting(importFeed.name, 1, 0)
    await insertRuns(['worker_lost', 'worker_lost', ...Array<null>(40).fill(null)])
    await runtime.rows(
      `update "JobRun" set "workId" = (select "id" from "JobWork"), "label" = 'secret', "workerId" = "id" where "errorCode" is not null`,
    )
    watch({ channels: [createAlertWebhook({ url: receiver.url })] })
    await waitFor(() => receiver.requests.length > 0)
    expect(noticesOf(receiver)).toMatchObject([
      {
        kind: 'endedWorkers',
        job: 'importFeed',
        facts: { count: 2, since: expect.any(String) },
        text: expect.stringMatching(
          /^2 workers ended while they ran the same piece of work of importFeed, the last \d+ s ago\.$/,
        ),
      },
    ])
    expect(receiver.requests[0]?.body).not.toContain('secret')
  })

  it('that more than a tenth of the latest runs of a job have failed, and that they do no more', async () => {
    const receiver = await openMonitor()
    const successes = (count: number) => Array<null>(count).fill(null)
    // Of the last minutes, so that it is not over.
    await insertRuns([null, ...Array<string>(80).fill('timeout'), ...successes(319)])
    await insertRuns(successes(10), { name: 'mailing' })
    watch({ channels: [createAlertWebhook({ url: receiver.url })], limits: { failureOfOneMs: 0 } })
    await waitFor(() => receiver.requests.length === 1)
    // Less than a tenth of them failed, but the alert is not over, or it would begin and end all day.
    await insertRuns(successes(600), { minutesAgo: 30 })
    await insertDeadLetters('feed_broken')
    await waitFor(() => receiver.requests.length === 2)
    await insertRuns(successes(1_000), { minutesAgo: 30 })
    await waitFor(() => receiver.requests.length === 3)

    expect(noticesOf(receiver)).toMatchObject([
      {
        event: 'began',
        kind: 'failing',
        job: 'importFeed',
        code: 'timeout',
        facts: { count: 80, code: 'timeout' },
        text: expect.stringMatching(
          /^80 of 400 runs of importFeed failed in the last hour, with timeout\. It began \d+ min ago\.$/,
        ),
      },
      { event: 'began', kind: 'deadLetters' },
      {
        event: 'ended',
        kind: 'failing',
        text: expect.stringMatching(/^Resolved: 80 of 400 runs of importFeed failed/),
      },
    ])
  })

  it('that the last run has failed, where its next attempt does not succeed in time', async () => {
    await insertRuns(['timeout'])
    expect(await raisedBeside()).toEqual([])
    await runtime.clear('JobAlert', 'JobThrottle')
    await insertRuns(['timeout'])
    expect(await raisedBeside({ limits: { failureOfOneMs: 0 } })).toEqual(['failing importFeed'])
  })

  it('that a worker is silent, and that a guard has blocked a run', async () => {
    const at = '2026-01-01T00:00:00.000Z'
    await runtime.rows(`insert into "JobWorker" ("id", "heartbeatAt") values ('still', $1)`, [at])
    await insertRuns(['guard_blocked'])
    await runtime.rows(`update "JobRun" set "details" = '{"guard":{"due":1234}}'`)
    await insertDeadLetters('feed_broken')
    const told: AlertNotice[] = []
    const channel = {
      name: 'hook',
      async send(notice: AlertNotice) {
        told.push(notice)
      },
    }
    await runtime.database.transaction(async (tx) => {
      await tx.query(`select pg_advisory_xact_lock(hashtextextended('still', 0))`)
      watch({ channels: [channel], limits: { noWorkerMs: 0 } })
      await waitFor(() => told.length > 3)
    })
    const texts = told
      .toSorted((one, other) => one.kind.localeCompare(other.kind))
      .map(({ kind, job, text }) => [kind, job, text])
    expect(texts).toEqual([
      [
        'blocked',
        'importFeed',
        expect.stringMatching(
          /^A run of importFeed would change 1,234 rows, more than its guard allows, and waits for an approval\.$/,
        ),
      ],
      [
        'deadLetters',
        'importFeed',
        'importFeed has 1 dead letter, 1 in the last hour, with feed_broken.',
      ],
      [
        'noWorker',
        'nightly',
        'No worker schedules nightly: 1 schedule of this catalogue is unknown to the living workers.',
      ],
      [
        'silent',
        null,
        expect.stringMatching(/^Worker still lives, but has given no sign for \d+ d\.$/),
      ],
    ])
  })

  it('that schedules are paused since their job takes their payloads no more', async () => {
    const at = '2026-01-01T00:00:00.000Z'
    await runtime.rows(
      `insert into "JobSchedule" ("name", "key", "version", "cron", "timeZone", "missed", "catchUpMs", "overlap", "jitterMs", "bytes",
         "cursor", "delayMs", "tzdata", "refusals", "pausedAt", "pauseReason")
       select 'importFeed', 'tenant-' || n, 1, '0 9 * * *', 'UTC', 'once', 1, 'skip', 0, 0, now(), 0, '', 1 + n,
         $1::timestamptz + n * interval '1 hour', 'the payload does not fit: secret'
       from unnest(array[3, 1, 2]) n`,
      [at],
    )
    const notice = await firstNotice()
    await runtime.clear('JobSchedule')
    expect(notice).toMatchObject({
      ...{ kind: 'schedulesRefused', job: 'importFeed' },
      facts: { key: 'tenant-2', count: 2, since: '2026-01-01T02:00:00.000Z' },
      text: expect.stringMatching(
        /^The schema of importFeed has refused the payload of 2 schedules, which are paused for that: tenant-2 for \d+ d\.$/,
      ),
    })
  })

  it('what a job has thrown, and where, and no message', async () => {
    const receiver = await openMonitor()
    await insertRuns(Array<string>(10).fill('feed_broken'))
    await insertDeadLetters('feed_broken')
    await insertDeadLetters('other', 1, 'mailing')
    await runtime.rows(
      `update "JobRun" set "workId" = (select "id" from "JobDeadLetter" where "name" = 'mailing'),
         "details" = jsonb_build_object('error', $1::jsonb)`,
      [
        JSON.stringify({
          code: 'feed_broken',
          name: 'FeedError',
          message: 'secret',
          stack: 'at readFeed (src/feed.ts:3:4)\nat secret (src/feed.ts:1:2)',
          cause: { message: 'secret' },
        }),
      ],
    )
    watch({ channels: [createAlertWebhook({ url: receiver.url })] })
    await waitFor(() => receiver.requests.length === 2)
    const thrown = 'FeedError at readFeed (src/feed.ts:3:4)'
    const notices = noticesOf(receiver)
    expect(notices.find(({ kind }) => kind === 'failing')).toMatchObject({
      code: 'feed_broken',
      text: expect.stringContaining(`with feed_broken (${thrown})`),
    })
    // That of importFeed has the cause of its failing runs, and is no second alert.
    expect(notices.find(({ kind }) => kind === 'deadLetters')).toMatchObject({
      ...{ job: 'mailing', code: 'other', facts: { count: 1 } },
      text: `mailing has 1 dead letter, 1 in the last hour, with other (${thrown}).`,
    })
    expect(JSON.stringify(notices)).not.toContain('secret')
  })

  it('nothing of runs that people or a guard have stopped, or that are too few', async () => {
    const receiver = await openMonitor()
    const successes = Array<null>(8).fill(null)
    await insertRuns(['cancelled', 'guard_blocked', 'drained', 'timeout', 'timeout', ...successes])
    watch({ channels: [createAlertWebhook({ url: receiver.url })], limits: { failureRate: 0.3 } })
    await insertDeadLetters('feed_broken')
    await waitFor(() => receiver.requests.length > 0)
    expect(noticesOf(receiver)).toMatchObject([{ kind: 'deadLetters' }])
  })

  it('that more work waits than is done', async () => {
    await insertWorker(importFeed.name, nightly.name)
    await insertWaiting('importFeed', 3)
    const limits = { queueMinWaiting: 3, queueGrowthMs: 0 }
    expect(await firstNotice({ limits })).toMatchObject({
      kind: 'backlog',
      job: 'importFeed',
      text: expect.stringMatching(
        /^importFeed: 3 pieces of work wait, the oldest for 5 min, and none has started in the last 5 min\.$/,
      ),
      facts: { count: 3 },
    })
  })

  it('nothing of runs that only rehearsed, or of another time', async () => {
    const failed = ['timeout', 'timeout', 'timeout']
    await insertRuns([null], { minutesAgo: 5 })
    await insertRuns(failed, { dryRun: true })
    await insertRuns(failed, { hoursAgo: 8 * 24 })
    await insertRuns([null, null, null], { name: 'mailing' })
    await insertRuns([...failed, ...failed], { name: 'mailing', hoursAgo: 2 })
    expect(await raisedBeside({ intervalMs: 20 })).toEqual([])
    await runtime.rows('delete from "JobAlert"')
    await insertRuns(failed)
    await waitFor(
      async () =>
        (await runtime.rows(`select from "JobAlert" where "kind" = 'failing'`)).length === 1,
    )
  })

  it('nothing of work that somebody holds back, or that is little or young', async () => {
    await runtime.rows(`insert into "JobQueue" ("name", "pausedBy") values ('importFeed', 'admin')`)
    onTestFinished(() => runtime.rows('delete from "JobQueue"').then(() => undefined))
    await insertWorker(importFeed.name, nightly.name, mailing.name)
    await insertSchedule()
    const limits = { queueMinWaiting: 3, queueGrowthMs: 0 }
    await insertWaiting('importFeed', 3)
    await insertWaiting('nightly', 3, 0)
    await insertWaiting('mailing', 2)
    expect(await raisedBeside({ limits })).toEqual([])
  })

  it('nothing of work that is being caught up with', async () => {
    await runtime.rows(
      `insert into "JobAlert" ("id", "kind", "name", "code", "facts")
       values (gen_random_uuid(), 'backlog', 'mailing', '', '{}')`,
    )
    await insertWorker(mailing.name)
    await insertSchedule()
    await insertWaiting('mailing', 4)
    // So many within five minutes.
    await insertRuns(Array<null>(10).fill(null), { name: 'mailing' })
    expect(await raisedBeside({ limits: { queueMinWaiting: 3, queueGrowthMs: 0 } })).toEqual([])
  })

  it('where the console shows it, and no message of an error', async () => {
    await insertDeadLetters('feed_broken')
    const notice = await firstNotice({ consoleUrl: 'https://shop.example.com/console/' })
    expect(notice).toEqual({
      version: 1,
      id: expect.any(String),
      event: 'began',
      kind: 'deadLetters',
      job: 'importFeed',
      code: 'feed_broken',
      text: 'importFeed has 1 dead letter, 1 in the last hour, with feed_broken.',
      startedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      endedAt: null,
      facts: {
        ...{ stage: 'losing', jobs: 'importFeed', count: 1, code: 'feed_broken' },
        ...{ since: expect.any(String), lastAt: expect.any(String) },
      },
      url: 'https://shop.example.com/console/dead-letters?name=importFeed',
    })
  })

  it('on one line, whatever the code is', async () => {
    await insertDeadLetters('card\r\nBcc: anna@example.com')
    expect((await firstNotice()).text).toBe(
      'importFeed has 1 dead letter, 1 in the last hour, with card Bcc: anna@example.com.',
    )
  })
})

describe('of dead letters of a job', () => {
  it('one alert is open, which old ones do not begin, and do not end within a day', async () => {
    const old = async (ago: string) =>
      runtime.rows(
        `update "JobDeadLetter" set "failedAt" = now() - $1::interval where "name" = 'importFeed'`,
        [ago],
      )
    const open = () =>
      runtime.column(
        `select "name" from "JobAlert" where "kind" = 'deadLetters' and "endedAt" is null order by 1`,
      )
    await insertDeadLetters('feed_broken', 3)
    await old('2 hours')
    await insertDeadLetters('timeout', 1, 'mailing')
    watch({ channels: [] })
    await waitFor(async () => (await open()).length > 0)
    expect(await open()).toEqual(['mailing'])
    await insertDeadLetters('other')
    await waitFor(async () => (await open()).length === 2)
    await old('23 hours')
    await runtime.rows(`delete from "JobDeadLetter" where "name" = 'mailing'`)
    await waitFor(async () => (await open()).length === 1)
    expect(await open()).toEqual(['importFeed'])
    await old('25 hours')
    await waitFor(async () => (await open()).length === 0)
  })
})

describe('a database that refuses writes', () => {
  it('is told once by each process to each channel, and when it takes them again', async () => {
    const [receiver, other] = [await openMonitor(), await openMonitor()]
    other.react((nth) => (nth === 1 ? 500 : 200))
    const database = new URL(runtime.url).pathname.slice(1)
    const set = async (value: string) => {
      const admin = new pg.Client({ connectionString: runtime.url })
      await admin.connect()
      await admin.query('begin read write')
      await admin.query(`alter database "${database}" ${value}`)
      await admin.query('commit')
      await admin.end()
    }
    await set('set default_transaction_read_only = on')
    try {
      watch({
        channels: [
          createAlertWebhook({ url: receiver.url }),
          createAlertWebhook({ url: other.url, name: 'other' }),
        ],
        limits: { noWorkerMs: 0 },
      })
      await waitFor(() => other.requests.length > 1)
      const fresh = new pg.Client({ connectionString: runtime.url })
      await fresh.connect()
      const { problems } = await judgeJobs(
        { rows: async ({ text, values }) => (await fresh.query(text, [...(values ?? [])])).rows },
        jobs,
        new Date(),
      )
      await fresh.end()
      const text = 'The database refuses writes (read-only).'
      expect(problems.map((one) => [one.kind, one.text])).toEqual([['database', text]])
      expect(noticesOf(receiver)).toMatchObject([{ event: 'began', kind: 'database', text }])
    } finally {
      await set('reset default_transaction_read_only')
    }
    await runtime.rows(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'roundsman alerts'`,
    )
    await waitFor(() => noticesOf(other).some(({ event }) => event === 'ended'))
    const told = noticesOf(receiver).filter(({ kind }) => kind === 'database')
    expect(told.map(({ id }) => id)).toEqual([told[0]!.id, told[0]!.id])
  })
})

describe('a webhook', () => {
  it('is signed, where it has a secret', async () => {
    const receiver = await openMonitor()
    const secret = 'a secret of the receiver'
    watch({ channels: [createAlertWebhook({ url: receiver.url, secret })] })
    await insertDeadLetters('feed_broken')
    const { headers, body } = await waitFor(() => receiver.requests[0])

    const [, at, signature] =
      /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers['x-roundsman-signature'])) ?? []
    expect(headers['content-type']).toBe('application/json')
    expect(signature).toBe(createHmac('sha256', secret).update(`${at}.${body}`).digest('hex'))
    // A receiver refuses what is signed five minutes ago or more, which somebody may have kept and sent again.
    expect(Math.abs(Date.now() / 1_000 - Number(at))).toBeLessThan(300)
  })

  it('of Slack gets a message of which no name makes a link or a mention', async () => {
    const receiver = await openMonitor()
    const secret = 'a secret of the receiver'
    watch({
      channels: [createAlertWebhook({ url: receiver.url, secret, format: 'slack' })],
      consoleUrl: 'https://shop.example.com/console/?a=1&b=2',
    })
    await insertDeadLetters('<!channel> & more')
    const { headers, body } = await waitFor(() => receiver.requests[0])

    expect(headers).toMatchObject({ 'content-type': 'application/json' })
    expect(headers).toHaveProperty('x-roundsman-signature')
    const text =
      'importFeed has 1 dead letter, 1 in the last hour, with &lt;!channel&gt; &amp; more.'
    const about = expect.stringMatching(
      /^deadLetters · began <!date\^\d+\^\{date_short_pretty\} \{time\}\|[\d:.TZ-]+> · <https:\/\/shop\.example\.com\/console\/\?a=1&amp;b=2\/dead-letters\?name=importFeed\|Open the console>$/,
    )
    expect(JSON.parse(body)).toEqual({
      text,
      blocks: [
        { type: 'section', text: { type: 'mrkdwn', text } },
        { type: 'context', elements: [{ type: 'mrkdwn', text: about }] },
      ],
    })
  })

  it('of Slack gets no more than Slack takes', async () => {
    const receiver = await openMonitor()
    const channel = createAlertWebhook({ url: receiver.url, format: 'slack' })
    const notice: AlertNotice = {
      version: 1,
      id: '1',
      event: 'ended',
      kind: 'failing',
      job: null,
      code: null,
      startedAt: '2026-11-24T09:12:00.000Z',
      endedAt: '2026-11-24T09:13:00.000Z',
      url: null,
      text: '&'.repeat(5_000),
      facts: {},
    }
    await channel.send(notice, AbortSignal.timeout(10_000))
    const { text, blocks } = JSON.parse(receiver.requests[0]!.body)
    expect(text).toBe(`${'&amp;'.repeat(590)}…`)
    expect(blocks[0].text.text.length).toBeLessThanOrEqual(3_000)
    expect(blocks[1].elements[0].text).toContain('failing · ended <!date^1795511580^')
  })

  it('that fails, redirects, breaks off or hangs is tried again, and takes the notice once', async () => {
    const receiver = await openMonitor()
    const answers = [500, 302, 'reset', 'hang'] as const
    receiver.react((nth) => answers[nth - 1] ?? 'endless')
    watch({
      // Long enough for an answer on a busy machine: one that comes too late would be asked for again.
      channels: [createAlertWebhook({ url: receiver.url, timeoutMs: 2_000 })],
      sendTimeoutMs: 600_000,
    })
    await insertDeadLetters('feed_broken')

    await waitFor(async () => (await deliveries())[0]?.isOver)
    await runtime.rows('delete from "JobDeadLetter"')
    await waitFor(async () => (await deliveries())[1]?.isOver)

    expect(noticesOf(receiver).map(({ event }) => event)).toEqual([
      ...Array.from({ length: 5 }, () => 'began'),
      'ended',
    ])
    expect(
      runtime.lines.filter(({ msg }) => msg === 'alert could not be delivered, trying again'),
    ).toMatchObject(
      expect.arrayContaining([expect.objectContaining({ reason: 'status 500', attempt: 1 })]),
    )
    expect(JSON.stringify(runtime.lines)).not.toContain(receiver.url.href)
  })

  it('that takes nothing for too long is given up, and is not told of the end', async () => {
    const receiver = await openMonitor()
    receiver.react(503)
    watch({ channels: [createAlertWebhook({ url: receiver.url })], giveUpAfterMs: 0 })
    await insertDeadLetters('feed_broken')
    await waitFor(async () => (await deliveries())[0]?.isOver)

    receiver.react(200)
    await runtime.rows('delete from "JobDeadLetter"')
    await insertDeadLetters('timeout', 1, 'mailing')
    await waitFor(() => receiver.requests.length === 2)

    expect(noticesOf(receiver).map(({ event, code }) => [event, code])).toEqual([
      ['began', 'feed_broken'],
      ['began', 'timeout'],
    ])
  })

  it.each(['ftp://example.com', 'https://user:password@example.com/'])('is not %s', (url) => {
    expect(() => createAlertWebhook({ url })).toThrow(TypeError)
  })
})

describe('a channel of the host', () => {
  it('that never answers, or throws what can not be told, keeps nobody else waiting', async () => {
    const told: string[] = []
    watch({
      sendTimeoutMs: 50,
      channels: [
        { name: 'silent', send: () => new Promise(() => undefined) },
        {
          name: 'hostile',
          send() {
            throw Object.create(null)
          },
        },
        {
          name: 'hook',
          async send({ event }) {
            told.push(event)
          },
        },
      ],
    })
    await insertDeadLetters('feed_broken')
    await waitFor(() => told.length === 1)
    await runtime.rows('delete from "JobDeadLetter"')
    await waitFor(() => told.length === 2)
    expect(told).toEqual(['began', 'ended'])
    const reason = 'the channel threw something that cannot be described'
    await waitFor(() => runtime.lines.some((line) => line['reason'] === reason))
  })

  it('needs a name of its own', () => {
    const channel = { name: 'hook', send: async () => undefined }
    expect(() => watch({ channels: [channel, channel] })).toThrow('two have the same name')
    expect(() => watch({ channels: [{ ...channel, name: 'a b' }] })).toThrow(
      'is not a channel name',
    )
  })

  it('is refused by an error that names it, as is any option that cannot be meant', async () => {
    const watcherOptions = {
      databaseUrl: runtime.url,
      schema: 'public',
      jobs,
      channels: [{ name: 'hook', send: async () => undefined }],
      limits: { failureRate: 0.5, queueGrowthMs: 60_000, noWorkerMs: 0 },
      consoleUrl: 'https://shop.example.com/console',
      intervalMs: 20,
      sendTimeoutMs: 20,
      retryDelayMs: 20,
      giveUpAfterMs: 20,
    }
    const webhookOptions = {
      url: 'https://example.com',
      secret: 's',
      format: 'slack',
      name: 'hook',
      timeoutMs: 20,
    }
    const make = async (of: 'watcher' | 'webhook', options: unknown) =>
      of === 'webhook'
        ? void createAlertWebhook(options as never)
        : await createAlertWatcher(options as never).stop()
    const places = (of: 'watcher' | 'webhook', options: object, ...more: string[]) =>
      [...Object.keys(options), ...more].map((place) => ({ of, options, place }))
    const place = fc.constantFrom(
      ...places(
        'watcher',
        watcherOptions,
        'jobs.0',
        'channels.0',
        'channels.0.name',
        'channels.0.send',
      ),
      ...Object.keys(watcherOptions.limits).map((name) => ({
        of: 'watcher' as const,
        options: watcherOptions,
        place: `limits.${name}`,
      })),
      ...places('webhook', webhookOptions),
    )
    const odd = [Number.NaN, -1, Infinity, 2 ** 53, '', '\0', 'file:///x', null, undefined, {}, []]
    const foreign = fc.oneof(
      fc.constantFrom<unknown>(...odd).map((value) => ({ take: () => value })),
      hostileValue({ maxCount: 1_000, maxLevels: 100 }).map((value) => ({
        take: () => makeHostile(value),
      })),
    )
    await make('watcher', watcherOptions)
    await make('webhook', webhookOptions)
    await fc.assert(
      fc.asyncProperty(place, foreign, async ({ of, options, place: path }, { take }) => {
        const copy = { ...options }
        const keys = path.split('.')
        let parent: object = copy
        for (const key of keys.slice(0, -1)) {
          const part: object = Reflect.get(parent, key) as object
          const copied = Array.isArray(part) ? [...(part as unknown[])] : { ...part }
          Reflect.set(parent, key, copied)
          parent = copied
        }
        Reflect.set(parent, keys.at(-1) ?? '', take())
        const error = await make(of, copy).then(
          () => null,
          (reason: unknown) => reason,
        )
        expect([path, error instanceof ArgumentError ? null : error]).toEqual([path, null])
      }),
      { numRuns: 300 },
    )
  })

  it('is told by a worker that has it among its options', async () => {
    const told: AlertNotice[] = []
    await startTestWorker(runtime, {
      jobs: [importFeed],
      handlers: { importFeed: async () => undefined },
      alerts: {
        intervalMs: 20,
        channels: [
          {
            name: 'hook',
            async send(notice) {
              told.push(notice)
            },
          },
        ],
      },
    })
    await insertDeadLetters('feed_broken')
    await waitFor(() => told.length === 1)
    expect(told).toMatchObject([{ kind: 'deadLetters', job: 'importFeed' }])
  })
})
