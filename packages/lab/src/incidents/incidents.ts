import { pruneJobRuns, type EnqueueOptions, type Job } from '@roundsman/engine'
import { waitFor } from '@roundsman/testing'
import { incidentJobs, printLabels, type IncidentJob } from './incidentJobs.ts'
import type { Shop } from './openShop.ts'

/** A sentence, or its beginning, as an SQL expression of the records that it is about. */
type Sql = string

/** What wakes somebody on call at night. Each has a database of its own, unless `pnpm incidents` is given several names. */
export interface Incident {
  name: string
  /** What happens. */
  about: string
  make(shop: Shop): Promise<unknown>
  /** The first item of the overview: its label, and what it says. Null: nothing needs anybody. */
  first: { label: string; says: Sql } | null
  /** How many items the overview has. It shows seven, and the rest on demand. */
  items: number
  /** Other pages, below the console's address, what a person does there, what each says, and what it does not. */
  pages?: {
    path: Sql
    press?: string
    /** What somebody else does before the person has given a reason and pressed this button. */
    meanwhile?(shop: Shop): Promise<unknown>
    confirm?: string
    says: readonly Sql[]
    never?: string
  }[]
  /** Nobody can write any more: it comes last. */
  isLast?: true
}

/** A span until now, as the console writes it. */
const spanSince = (
  instant: Sql,
) => `(select case when s >= 86400 then floor(s / 86400) || ' d' when s >= 3600 then floor(s / 3600) || ' h'
  when s >= 60 then floor(s / 60) || ' min' else greatest(1, floor(s)) || ' s' end from (select extract(epoch from now() - (${instant})) as s) one)`
const number = (count: Sql) => `to_char(${count}, 'FM999,999')`
/** The next 29th of February at seven o'clock in Berlin. */
const LEAP_DAY = `(select min(day + interval '7 hours') at time zone 'Europe/Berlin'
  from (select make_date(year, 3, 1)::timestamp - interval '1 day' as day from generate_series(2024, 2124, 4) year) one
  where extract(day from day) = 29 and day > now())`
const runPath = (where: Sql) =>
  `(select '/runs/' || "id" from "JobRunAll" where ${where} order by "startedAt" desc, "id" desc limit 1)`

const [
  importFeed,
  countStock,
  sendReceipt,
  renderPoster,
  ,
  callPartner,
  writeExport,
  sendNewsletter,
  askPartner,
  chargeCard,
  syncOrders,
] = incidentJobs()
const by = { actor: 'ann@example.com', reason: 'The partner is back' }

export const INCIDENTS: readonly Incident[] = [
  {
    name: 'flood',
    about: 'One customer fills the queue with 5,000 pieces of work.',
    async make({ client, host, startWorker }) {
      const items = (count: number, label: string) =>
        Array.from({ length: count }, () => ({ payload: { label } }))
      const all = [...items(5_000, 'tenant 42'), ...items(150, 'tenant 7')]
      await client.enqueueManyNow(importFeed, all)
      await age(host, 'importFeed', '6 minutes')
      await startWorker(['importFeed'])
    },
    first: {
      label: 'Behind',
      says: `(select 'importFeed: ' || ${number('count(*)')} || ' pieces of work wait, the oldest for ' || ${spanSince('min("dueAt")')} || ', and at ' from "JobWork")`,
    },
    items: 1,
    pages: [{ path: `'/'`, says: [`'97 % of it is label tenant 42'`] }],
  },
  {
    name: 'lockedRows',
    about: 'A clean-up passes over 111 rows that a transaction of psql holds.',
    async make(shop) {
      await fill(shop, 'sendReceipt', 111, '1 minute', '100 days', '50 ms')
      await shop.lockByPsql(
        `select from "JobRun" where "startedAt" < now() - interval '99 days' for update`,
      )
      await shop.startWorker(['pruneJobRuns'])
      await run(shop, pruneJobRuns)
    },
    first: null,
    items: 0,
    pages: [
      {
        path: `'/jobs/pruneJobRuns'`,
        says: [
          `(select ("details" ->> 'stillDue') || ' due rows' from "JobRun" where "name" = 'pruneJobRuns')`,
        ],
      },
    ],
  },
  {
    name: 'lockedTable',
    about: 'A run waits for a table that a transaction of psql has locked.',
    async make(shop) {
      await shop.host.$executeRawUnsafe('create table "Stock" ("count" int)')
      await shop.lockByPsql('lock table "Stock"')
      await shop.startWorker(['countStock'])
      await request(shop, countStock)
    },
    first: {
      label: 'Lock',
      says: `(select 'pid ' || waiter.pid || ' (' || waiter.application_name || ') has waited ' || ${spanSince('lock.waitstart')} || ' for a lock of pid ' || holder.pid || ' (psql, idle in transaction).'
        from pg_locks lock join pg_stat_activity waiter using (pid) cross join pg_stat_activity holder where not lock.granted and holder.pid = any(pg_blocking_pids(waiter.pid)))`,
    },
    items: 1,
    pages: [{ path: runPath(`"name" = 'countStock'`), says: [`'for a lock of pid '`] }],
  },
  {
    name: 'twice',
    about: 'A customer gets a mail twice: two requests have enqueued it.',
    async make(shop) {
      await shop.startWorker(['sendReceipt'])
      const payload = { label: 'Order 106267' }
      const send = (enqueuedBy: string) =>
        shop.client.enqueueNow(sendReceipt, payload, { enqueuedBy })
      await ended(shop, (await send('request 7f3a')).workId)
      await ended(shop, (await send('request 9c1e')).workId)
    },
    first: null,
    items: 0,
    pages: [
      {
        path: runPath(`"name" = 'sendReceipt'`),
        says: [`'Another piece of work with this label started'`, `'request 9c1e'`],
      },
    ],
  },
  {
    name: 'poison',
    about: 'A piece of work kills each worker that takes it.',
    async make(shop) {
      const payload = { label: 'Poster 905' }
      await shop.client.enqueueNow(renderPoster, payload)
      for (let deaths = 0; deaths < 2; deaths += 1)
        await (
          await shop.startWorker(['renderPoster']).catch(() => null)
        )?.exited
      // It lives, ends what the others have left, and takes none of it.
      await shop.startWorker([])
    },
    first: {
      label: 'Ends workers',
      says: `(select count(distinct "workerId") || ' workers ended while they ran the same piece of work of renderPoster, the last ' || ${spanSince('max("endedAt")')} || ' ago.' from "JobRun" where "name" = 'renderPoster')`,
    },
    items: 1,
    pages: [{ path: `'/'`, says: [`'It is Poster 905'`] }],
  },
  {
    name: 'rescheduled',
    about: 'A deploy has made the digest an hour late.',
    async make(shop) {
      const before = await shop.startWorker(['sendDigest'])
      await before.stop()
      await shop.startWorker(['sendDigest'], { cron: '0 8 * * *', version: '0.2.1' })
    },
    first: null,
    items: 0,
    pages: [{ path: `'/jobs/sendDigest'`, says: [`'by SEND_DIGEST_CRON'`, `'version 0.2.1'`] }],
  },
  {
    name: 'taken',
    about: 'Somebody else was faster with the retry of a dead letter.',
    async make(shop) {
      const payload = { label: 'Order 7' }
      const { workId } = await shop.client.enqueueNow(callPartner, payload)
      const worker = await shop.startWorker(['callPartner'])
      await ended(shop, workId)
      await worker.stop()
      await shop.client.redriveDeadLetters({ ids: [workId] }, by)
      await shop.pretendWorker()
    },
    first: {
      label: 'Failing',
      says: `(select 'The last run of callPartner failed with ' || "errorCode" from "JobRun")`,
    },
    items: 1,
    pages: [
      {
        path: runPath(`"name" = 'callPartner'`),
        says: [`'ann@example.com'`, `'The partner is back'`],
      },
    ],
  },
  {
    name: 'deadLetters',
    about: '100,000 pieces of work were given up.',
    async make({ host, pretendWorker }) {
      await pretendWorker()
      await host.$executeRawUnsafe(`
        insert into "JobDeadLetter" ("id", "name", "attempt", "failures", "bytes", "enqueuedAt", "failedAt", "errorCode",
          "errorMessage", "payload")
        select gen_random_uuid(), 'callPartner', 1, 1, 2, at, at, 'handler_failed', 'The partner does not answer', '{}'
        from generate_series(1, 100000) n cross join lateral (select now() - n * interval '1 ms' as at) failed`)
    },
    first: {
      label: 'Dead letters',
      says: `(select 'callPartner has ' || ${number('count(*)')} || ' dead letters, ' || ${number('count(*)')} || ' in the last hour, of the last 1,000 most often with handler_failed.' from "JobDeadLetter")`,
    },
    items: 1,
    pages: [
      { path: `'/queues'`, says: [`(select ${number('count(*)')} from "JobDeadLetter")`] },
      {
        path: `'/jobs/callPartner'`,
        says: [`(select ${number('count(*)')} from "JobDeadLetter")`],
      },
    ],
  },
  {
    name: 'orphaned',
    about: 'Work waits of a job that has left the catalogue.',
    async make({ client, pretendWorker }) {
      await pretendWorker()
      await client.enqueueManyNow(printLabels, pieces(9))
    },
    first: {
      label: 'No worker',
      says: `(select 'No living worker takes printLabels, and this catalogue does not have it: ' || count(*) || ' pieces of work wait, the oldest for ' || ${spanSince('min("dueAt")')} || '.' from "JobWork")`,
    },
    items: 1,
  },
  {
    name: 'diskFull',
    about: 'The disk of a host is full, and a job fails.',
    async make(shop) {
      await fill(shop, 'writeExport', 20, '1 minute', '1 minute', '50 ms')
      await shop.startWorker(['writeExport'])
      const enqueued = await shop.client.enqueueManyNow(writeExport, pieces(12))
      for (const { workId } of enqueued) await ended(shop, workId)
    },
    first: {
      label: 'Failing',
      says: `(select count("errorCode") || ' of ' || count(*) || ' runs of writeExport failed in the last hour, with ENOSPC (at writeExport' from "JobRun" where "name" = 'writeExport')`,
    },
    items: 1,
    pages: [
      {
        path: `'/'`,
        says: [`(select count(*) || ' pieces of work are dead letters.' from "JobDeadLetter")`],
      },
    ],
  },
  {
    name: 'pausedQueue',
    about: 'Somebody has paused a queue the day before yesterday, and has forgotten it.',
    async make({ client, host, pretendWorker }) {
      await pretendWorker()
      await client.enqueueManyNow(sendNewsletter, pieces(12))
      await client.pauseQueue('sendNewsletter', { actor: 'max@example.com', reason: 'They move' })
      await host.$executeRawUnsafe(
        `update "JobQueue" set "pausedAt" = now() - interval '50 hours' where "name" = 'sendNewsletter'`,
      )
      await age(host, 'sendNewsletter', '2 hours')
    },
    first: {
      label: 'Paused',
      says: `(select "pausedBy" || ' paused the queue of sendNewsletter 2 d ago: ' || (select count(*) from "JobWork") || ' pieces of work wait.' from "JobQueue")`,
    },
    items: 1,
    pages: [{ path: `'/'`, says: [`'Reason: They move'`] }],
  },
  {
    name: 'slotsHeld',
    about: 'A partner never answers, and holds all four slots of a job.',
    async make(shop) {
      await fill(shop, 'askPartner', 50, '1 minute', '20 minutes', '50 ms')
      await shop.startWorker(['askPartner'])
      await shop.client.enqueueManyNow(askPartner, pieces(4))
      await started(shop, 'askPartner', 4)
      await shop.client.enqueueManyNow(askPartner, pieces(4))
      await hold(shop, 'askPartner')
      await age(shop.host, 'askPartner', '12 minutes')
    },
    first: {
      label: 'Behind',
      says: `(select 'askPartner: ' || count(*) || ' pieces of work wait, the oldest for ' || ${spanSince('min("dueAt")')} || ', and none has started in the last 5 min; '
        || (select sum(cardinality("runIds")) || ' runs are under way, the oldest for ' || ${spanSince('min("startedAt")')} || '.' from "JobClaim") from "JobWork")`,
    },
    items: 1,
  },
  {
    name: 'oneTenant',
    about: 'A job fails for one customer alone.',
    async make(shop) {
      const items = Array.from({ length: 40 }, (_, nth) => ({
        payload: { label: nth % 4 === 0 ? 'Tenant 17' : `Tenant ${nth + 100}` },
      }))
      const enqueued = await shop.client.enqueueManyNow(chargeCard, items)
      await shop.startWorker(['chargeCard'])
      for (const { workId } of enqueued) await ended(shop, workId)
    },
    first: {
      label: 'Failing',
      says: `(select count("errorCode") || ' of ' || count(*) || ' runs of chargeCard failed in the last hour, with handler_failed (' from "JobRun" where "name" = 'chargeCard')`,
    },
    items: 1,
  },
  {
    name: 'dryRun',
    about: 'Somebody wants to try a job out that sends mails.',
    make: ({ pretendWorker }) => pretendWorker(),
    first: null,
    items: 0,
    pages: [
      { path: `'/jobs/pruneJobRuns'`, press: 'Actions for pruneJobRuns', says: [`'Dry run'`] },
      {
        path: `'/jobs/sendReceipt'`,
        press: 'Actions for sendReceipt',
        says: [`'All its runs'`],
        never: 'Dry run',
      },
    ],
  },
  {
    name: 'pausedKey',
    about: 'Work waits for a key that was paused 23 days ago, and the rest is taken.',
    async make(shop) {
      await shop.pretendWorker()
      await shop.host.$executeRawUnsafe(
        `insert into "JobKey" ("name", "key", "pausedUntil", "pausedBy", "pausedAt")
         values ('closeTenant', 'tenant-initech', 'infinity', 'max@example.com', now() - interval '23 days')`,
      )
      await wait(shop, 'closeTenant', 12, '2 hours', 'tenant-initech')
      await wait(shop, 'closeTenant', 7, '30 seconds', 'tenant-acme')
      await fill(shop, 'closeTenant', 100, '1 second', '1 second', '1 second')
    },
    first: {
      label: 'Paused',
      says: `(select count(*) filter (where "key" = 'tenant-initech') || ' of ' || count(*) || ' pieces of work of closeTenant wait for key tenant-initech, which max@example.com paused 23 d ago.' from "JobWork")`,
    },
    items: 1,
    pages: [
      {
        path: `'/queues'`,
        says: [
          `(select count(*) filter (where "key" = 'tenant-initech') || ' of ' || count(*) || ' wait for paused key tenant-initech' from "JobWork")`,
        ],
      },
    ],
  },
  {
    name: 'backAgain',
    about: 'Workers take work again after 40 minutes without any.',
    async make(shop) {
      await shop.pretendWorker()
      await fill(shop, 'sendReceipt', 300, '250 ms', '1 second', '200 ms')
      await wait(shop, 'sendReceipt', 190, '40 minutes')
    },
    first: null,
    items: 0,
    // By what is taken now: some hours by the rate of the whole wait.
    pages: [{ path: `'/queues'`, says: [`'caught up in'`, `' s'`], never: 'caught up in 1 h' }],
  },
  {
    name: 'readOnly',
    about: 'After a fail-over the database refuses writes, and workers live.',
    isLast: true,
    async make(shop) {
      await shop.pretendWorker()
      await wait(shop, 'sendReceipt', 9, '20 minutes')
      await refuseWrites(shop)
    },
    first: { label: 'Database', says: `'The database refuses writes (read-only).'` },
    items: 1,
  },
  {
    name: 'refused',
    about: 'A service refuses more for now, and runs end for that.',
    async make(shop) {
      await shop.pretendWorker()
      await fail(shop, 'callPartner', 2, '2 minutes', { code: 'rate_limited' })
    },
    first: null,
    items: 0,
    pages: [
      { path: runPath(`"name" = 'callPartner'`), says: [`'Failed'`, `'rate_limited'`] },
      {
        path: `'/jobs/callPartner'`,
        says: [`(select count(*) || ' failed' from "JobRun")`],
        never: '2 cancelled',
      },
    ],
  },
  {
    name: 'diedAtOnce',
    about: 'A process died at once, which others noticed after 21 seconds.',
    async make(shop) {
      await shop.pretendWorker()
      await fail(shop, 'sendReceipt', 1, '5 minutes', { code: 'worker_lost', took: '21 seconds' })
    },
    first: {
      label: 'Ends workers',
      says: `(select 'Worker ' || "workerId" || ' ended with 1 run of sendReceipt, noticed ' || ${spanSince('"endedAt"')} || ' ago.' from "JobRun")`,
    },
    items: 1,
    pages: [{ path: runPath('true'), says: [`'noticed after 21 s'`], never: 'took 21 s' }],
  },
  {
    name: 'pausedPoison',
    about: 'Work that workers ended with waits in a paused queue.',
    async make(shop) {
      await shop.pretendWorker()
      await wait(shop, 'renderPoster', 1, '3 minutes')
      await fail(shop, 'renderPoster', 2, '4 minutes', { code: 'worker_lost' })
      await shop.host.$executeRawUnsafe(
        `with work as (update "JobWork" set "losses" = 2 where "name" = 'renderPoster' returning "id")
         update "JobRun" set "workId" = (select "id" from work) where "name" = 'renderPoster'`,
      )
      await shop.client.pauseQueue('renderPoster', by)
    },
    first: {
      label: 'Ends workers',
      says: `(select count(*) || ' workers ended while they ran the same piece of work of renderPoster, the last ' || ${spanSince('max("endedAt")')} || ' ago.' from "JobRun")`,
    },
    items: 1,
    pages: [{ path: `'/'`, says: [`'Its queue is paused, so it does not start.'`] }],
  },
  {
    name: 'recovered',
    about: 'Six runs of a neighbour were lost and are done, beside 100,000 dead letters.',
    async make(shop) {
      await shop.pretendWorker()
      await fail(shop, 'sendReceipt', 6, '4 minutes', { code: 'worker_lost', by: 'gone' })
      await fill(shop, 'sendReceipt', 6, '1 second', '2 minutes', '1 second')
      await giveUp(shop, 'callPartner', 100_000, '5 minutes')
    },
    first: {
      label: 'Dead letters',
      says: `(select 'callPartner has ' || ${number('count(*)')} || ' dead letters, ' from "JobDeadLetter")`,
    },
    items: 2,
  },
  {
    name: 'recoveredReadOnly',
    about: 'Likewise, in a database that refuses writes.',
    isLast: true,
    async make(shop) {
      await INCIDENTS.find(({ name }) => name === 'recovered')?.make(shop)
      await refuseWrites(shop)
    },
    first: { label: 'Database', says: `'The database refuses writes (read-only).'` },
    items: 3,
  },
  {
    name: 'oldLetters',
    about: 'Twelve payments fail, beside 100,000 old dead letters of a report.',
    async make(shop) {
      await shop.pretendWorker()
      await giveUp(shop, 'writeExport', 100_000, '3 days')
      await fill(shop, 'chargeCard', 28, '1 second', '4 minutes', '1 second')
      await fail(shop, 'chargeCard', 12, '2 minutes', { code: 'refused' })
    },
    first: {
      label: 'Failing',
      says: `(select count("errorCode") || ' of ' || count(*) || ' runs of chargeCard failed in the last hour, with refused' from "JobRun")`,
    },
    items: 2,
  },
  {
    name: 'hog',
    about: 'One job holds all slots of a limit that three share.',
    async make(shop) {
      await fill(shop, 'syncOrders', 20, '1 minute', '20 minutes', '50 ms')
      await shop.startWorker(['syncOrders', 'syncPrices', 'syncStock'])
      await shop.client.enqueueManyNow(syncOrders, pieces(4))
      await started(shop, 'syncOrders', 4)
      await hold(shop, 'syncOrders')
      for (const name of ['syncOrders', 'syncPrices', 'syncStock'] as const)
        await wait(shop, name, 20, '9 minutes')
    },
    first: {
      label: 'Behind',
      says: `(select 'syncOrders, syncPrices and syncStock: ' || count(*) || ' pieces of work wait, the oldest for ' || ${spanSince('min("dueAt")')} || ', since limit partner is full: syncOrders has 4 of its 4 slots.' from "JobWork")`,
    },
    items: 1,
  },
  {
    name: 'deadWorker',
    about: 'A worker has died, and three jobs have lost runs.',
    async make(shop) {
      await shop.pretendWorker()
      for (const name of ['sendReceipt', 'countStock', 'importFeed'] as const)
        await fail(shop, name, 8, '5 minutes', { code: 'worker_lost', by: 'gone' })
    },
    first: {
      label: 'Ends workers',
      says: `(select 'Worker gone ended with ' || count(*) || ' runs of countStock, importFeed and sendReceipt, noticed ' || ${spanSince('max("endedAt")')} || ' ago.' from "JobRun")`,
    },
    items: 1,
  },
  {
    name: 'onlyLost',
    about: 'All failures of a job are lost workers, which were four.',
    async make(shop) {
      await shop.pretendWorker()
      await fail(shop, 'sendReceipt', 4, '5 minutes', { code: 'worker_lost' })
    },
    first: {
      label: 'Ends workers',
      says: `(select count(distinct "workerId") || ' workers ended with ' || count(*) || ' runs of sendReceipt, noticed the last time ' || ${spanSince('max("endedAt")')} || ' ago.' from "JobRun")`,
    },
    items: 1,
  },
  {
    name: 'byVersion',
    about: 'A job fails on one version alone, on each of its hosts.',
    async make(shop) {
      await shop.pretendWorker('4.12')
      for (const host of ['a', 'b']) {
        await fail(shop, 'chargeCard', 10, '2 minutes', { code: 'refused', by: `old-${host}` })
        await shop.host.$executeRawUnsafe(
          `insert into "JobFormerWorker" values ($1, '4.11.2', now() - interval '1 hour', now())`,
          `old-${host}`,
        )
      }
      await fill(shop, 'chargeCard', 20, '1 second', '3 minutes', '1 second')
      await shop.host.$executeRawUnsafe(
        `update "JobRun" set "workerId" = 'pretended-4.12' where "name" = 'chargeCard' and "errorCode" is null`,
      )
    },
    first: {
      label: 'Failing',
      says: `(select count("errorCode") || ' of ' || count(*) || ' runs of chargeCard failed in the last hour, with refused, all on 4.11.2, none on 4.12. It began ' || ${spanSince('min("startedAt") filter (where "errorCode" is not null)')} || ' ago' from "JobRun")`,
    },
    items: 1,
  },
  {
    name: 'oneError',
    about: 'Three jobs fail by the same error, thrown at the same place.',
    async make(shop) {
      await shop.pretendWorker()
      for (const name of ['sendReceipt', 'countStock', 'importFeed'] as const)
        await fail(shop, name, 8, '5 minutes', {
          code: 'ECONNREFUSED',
          error: { name: 'Error', stack: 'at connect (src/mail.ts:12:9)' },
        })
    },
    first: {
      label: 'Failing',
      says: `(select count(*) || ' of ' || count(*) || ' runs of countStock, importFeed and sendReceipt failed in the last hour, with ECONNREFUSED (Error at connect (src/mail.ts:12:9)).' from "JobRun")`,
    },
    items: 1,
  },
  {
    name: 'quiet',
    about: 'Runs are slower, a clean-up finds nothing to do, a key is held, and one old failure.',
    async make(shop) {
      await shop.pretendWorker()
      await fill(shop, 'importFeed', 40, '1 minute', '1 hour', '1 second')
      await fill(shop, 'importFeed', 10, '1 minute', '1 minute', '40 seconds')
      await fill(shop, 'countStock', 20, '1 day', '1 hour', '50 ms', { counted: 0 })
      await fail(shop, 'sendReceipt', 1, '3 hours', { code: 'handler_failed' })
      await fill(shop, 'sendReceipt', 9, '10 minutes', '1 minute', '1 second')
      const startAfter = new Date(Date.now() + 86_400_000)
      await shop.client.enqueueNow(sendNewsletter, {}, { uniqueKey: 'march', startAfter })
    },
    first: null,
    items: 0,
  },
  {
    name: 'leapDay',
    about: 'A schedule is due on the 29th of February alone.',
    async make(shop) {
      await shop.pretendWorker()
      await shop.host.$executeRawUnsafe(
        `update "JobSchedule" set "cron" = '0 7 29 2 *', "nextAt" = ${LEAP_DAY}, "dueAt" = ${LEAP_DAY} where "name" = 'sendDigest'`,
      )
    },
    first: null,
    items: 0,
    pages: [
      {
        path: `'/jobs/sendDigest'`,
        says: [
          `(select 'in ' || floor(extract(epoch from "nextAt" - now()) / 86400) || ' d, ' || to_char("nextAt", 'Dy DD Mon YYYY') from "JobSchedule" where "name" = 'sendDigest')`,
          `to_char(${LEAP_DAY}, 'Dy DD Mon YYYY') || ', 07:00'`,
        ],
      },
    ],
  },
  {
    name: 'twoAdmins',
    about: 'Two people retry the same dead letters.',
    async make(shop) {
      await shop.pretendWorker()
      await giveUp(shop, 'callPartner', 40, '5 minutes')
    },
    first: {
      label: 'Dead letters',
      says: `(select 'callPartner has ' || count(*) || ' dead letters, ' || count(*) || ' in the last hour, ' from "JobDeadLetter")`,
    },
    items: 1,
    pages: [
      {
        path: `'/dead-letters?name=callPartner'`,
        press: 'Retry all 40',
        meanwhile: ({ client }) =>
          client.actOnMany({ kind: 'redrive', which: { name: 'callPartner' }, ...by }),
        confirm: 'Retry 40',
        says: [`'Nothing was left to change'`],
        never: 'locked',
      },
    ],
  },
  {
    name: 'lockedWork',
    about: 'A transaction of psql has locked the table of work, and workers can take none.',
    isLast: true,
    async make(shop) {
      await shop.pretendWorker()
      await shop.lockByPsql('lock table "JobWork" in share mode')
    },
    first: {
      label: 'Lock',
      says: `(select 'pid ' || pid || ' (psql, idle in transaction) has locked JobWork against writes, in a transaction that began ' from pg_stat_activity where query like 'lock table "JobWork"%' and datname = current_database())`,
    },
    items: 1,
  },
  {
    name: 'wholeNight',
    about: 'Eight things are wrong, seven of them old or waiting.',
    async make(shop) {
      const all = [
        'pausedQueue',
        'pausedKey',
        'pausedPoison',
        'oldLetters',
        'deadWorker',
        'orphaned',
      ]
      for (const one of INCIDENTS.filter(({ name }) => all.includes(name))) await one.make(shop)
      await wait(shop, 'askPartner', 20, '9 minutes')
    },
    first: {
      label: 'Failing',
      says: `(select count("errorCode") || ' of ' || count(*) || ' runs of chargeCard failed in the last hour, with refused' from "JobRun" where "name" = 'chargeCard')`,
    },
    items: 8,
    pages: [{ path: `'/'`, says: [`'and 1 more'`] }],
  },
]

/** Runs that have succeeded, `every` so long, the last of them `ago`. */
async function fill(
  { host }: Shop,
  name: IncidentJob,
  runs: number,
  every: string,
  ago: string,
  took: string,
  details: object | null = null,
): Promise<void> {
  await host.$executeRawUnsafe(
    `insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "details", "workerId", "createdAt")
     select gen_random_uuid(), $1, 'success', 'queue', 1, at, at + $5::interval, $6::jsonb, 'worker-1:1:0', at
     from generate_series(0, $2::int - 1) n cross join lateral (select now() - $4::interval - n * $3::interval as at) started`,
    name,
    runs,
    every,
    ago,
    took,
    details === null ? null : JSON.stringify(details),
  )
}

/** Runs that have failed, a second apart, the last of them `ago`: each of a worker of its own, which is gone, or all of one. */
const fail = (
  { host }: Shop,
  name: IncidentJob,
  runs: number,
  ago: string,
  {
    code,
    by: workerId,
    took = '0',
    error = {},
  }: { code: string; by?: string; took?: string; error?: object },
) =>
  host.$executeRawUnsafe(
    `insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "createdAt", "errorCode", "details", "workerId")
     select gen_random_uuid(), $1, 'failed', 'queue', at, at + $5::interval, at, $4, $7::jsonb, coalesce($6::text, 'gone-' || n)
     from generate_series(0, $2::int - 1) n cross join lateral (select now() - $3::interval - n * interval '1 second' as at) started`,
    ...[name, runs, ago, code, took, workerId ?? null, JSON.stringify({ error })],
  )

async function refuseWrites({ host }: Shop): Promise<void> {
  await host.$executeRawUnsafe(
    `do $$ begin execute format('alter database %I set default_transaction_read_only = on', current_database()); end $$`,
  )
  // What was open before goes on to write.
  await host.$queryRawUnsafe(
    `select count(pg_terminate_backend(pid)) from pg_stat_activity where datname = current_database() and application_name like 'roundsman %'`,
  )
}

/** Has the runs under way of a job go on for twelve minutes already. */
async function hold({ host }: Shop, name: IncidentJob): Promise<void> {
  for (const table of ['JobClaim', 'JobRun'])
    await host.$executeRawUnsafe(
      `update "${table}" set "startedAt" = "startedAt" - interval '12 minutes', "createdAt" = "createdAt" - interval '12 minutes'
       where "name" = $1 and "workerId" <> 'worker-1:1:0'`,
      name,
    )
}

/** Work that waits and has been due so long. */
const wait = ({ host }: Shop, name: IncidentJob, count: number, ago: string, key?: string) =>
  host.$executeRawUnsafe(
    `insert into "JobWork" ("id", "name", "dueAt", "bytes", "payload", "key")
     select gen_random_uuid(), $1, now() - $3::interval, 2, '{}', $4 from generate_series(1, $2::int)`,
    ...[name, count, ago, key ?? null],
  )

/** Work that was given up so long ago. */
const giveUp = ({ host }: Shop, name: IncidentJob, count: number, ago: string) =>
  host.$executeRawUnsafe(
    `insert into "JobDeadLetter" ("id", "name", "bytes", "payload", "errorCode", "errorMessage", "failedAt")
     select gen_random_uuid(), $1, 2, '{}', 'handler_failed', '', now() - $3::interval - n * interval '1 ms' from generate_series(1, $2::int) n`,
    ...[name, count, ago],
  )

/** So many pieces of work without a payload. */
const pieces = (count: number, options: EnqueueOptions = {}) =>
  Array.from({ length: count }, () => ({ payload: {}, options }))

/** Makes what waits of a job due so long ago. */
const age = (host: Shop['host'], name: IncidentJob, ago: string) =>
  host.$executeRawUnsafe(
    `update "JobWork" set "dueAt" = now() - $2::interval where "name" = $1`,
    name,
    ago,
  )

/** Asks for a run as a person does. Returns the id of its work. */
const request = (shop: Shop, job: Job) =>
  shop.client.requestRun(job, { actor: 'ann@example.com', reason: 'To see' })

/** Has it run, and returns the id of the run once that has ended. */
const run = async (shop: Shop, job: Job) => ended(shop, await request(shop, job))

/** What an incident takes to happen, on a busy machine too. */
const HAPPENS = { timeoutMs: 600_000 }

/** Waits until this number of runs of a job is under way. */
async function started({ host }: Shop, name: IncidentJob, runs: number): Promise<void> {
  await waitFor(async () => {
    const [found] = await host.$queryRawUnsafe<{ runs: number }[]>(
      `select coalesce(sum(cardinality("runIds")), 0)::int as "runs" from "JobClaim" where "name" = $1`,
      name,
    )
    return (found?.runs ?? 0) >= runs
  }, HAPPENS)
}

async function ended({ host }: Shop, workId: string): Promise<string> {
  return await waitFor(async () => {
    const [found] = await host.$queryRawUnsafe<{ id: string }[]>(
      `select "id"::text from "JobRun" where coalesce("workId", "id") = $1::uuid and "endedAt" is not null`,
      workId,
    )
    return found?.id
  }, HAPPENS)
}
