import { pruneJobRuns, type EnqueueOptions, type Job } from '@roundsman/engine'
import { listJobRuns } from '@roundsman/engine/client'
import { waitFor } from '@roundsman/testing'
import { incidentJobs, printLabels, type IncidentJob } from './incidentJobs.ts'
import type { Shop } from './openShop.ts'

/** What wakes somebody on call at night. */
export interface Incident {
  name: string
  /** What happens. */
  about: string
  /** Makes it, and returns the page that names it, below the console's address. */
  make(shop: Shop): Promise<string>
  /** What a person reads there. */
  says: readonly RegExp[]
  /** The page of what it is about, and what it says. */
  closer?: { find(shop: Shop): Promise<string>; says: readonly RegExp[] }
}

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
] = incidentJobs()
const OVERVIEW = '/'
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
      await host.$executeRawUnsafe(`update "JobWork" set "dueAt" = now() - interval '6 minutes'`)
      await startWorker(['importFeed'])
      return OVERVIEW
    },
    says: [
      /importFeed: 5,1\d\d pieces of work wait, the oldest for \d+ min/,
      /97 % of it is label tenant 42/,
    ],
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
      return '/jobs/pruneJobRuns'
    },
    says: [/passed over 111 due rows, since others had them locked/],
  },
  {
    name: 'lockedTable',
    about: 'A run waits for a table that a transaction of psql has locked.',
    async make(shop) {
      await shop.host.$executeRawUnsafe('create table "Stock" ("count" int)')
      await shop.lockByPsql('lock table "Stock"')
      await shop.startWorker(['countStock'])
      await request(shop, countStock)
      return OVERVIEW
    },
    says: [
      /Lock\s+pid \d+ \(.*\) has waited .* for a lock of pid \d+ \(psql, idle in transaction\)/,
    ],
    closer: {
      find: async ({ client }) => {
        const { runs } = await listJobRuns(client.reader, { name: 'countStock', limit: 1 })
        return `/runs/${runs[0]?.id}`
      },
      says: [
        /Its worker waits for \d+ (s|min) for a lock of pid \d+ \(psql, idle in transaction\), in a transaction that began \d+ (s|min) ago/,
      ],
    },
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
      return `/runs/${await ended(shop, (await send('request 9c1e')).workId)}`
    },
    says: [/Another piece of work with this label started .* before this one/, /request 9c1e/],
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
      return OVERVIEW
    },
    says: [
      /Ends workers\s+One piece of work of renderPoster has ended 2 workers/,
      /It is Poster 905/,
    ],
  },
  {
    name: 'rescheduled',
    about: 'A deploy has made the digest an hour late.',
    async make(shop) {
      const before = await shop.startWorker(['sendDigest'])
      await before.stop()
      await shop.startWorker(['sendDigest'], { cron: '0 8 * * *', version: '0.2.1' })
      return '/jobs/sendDigest'
    },
    says: [
      /Changed At 08:00 by SEND_DIGEST_CRON, since \w{3} \d{2} \w{3}, \d{2}:\d{2} \(version 0\.2\.1\); before: At 07:00/,
    ],
  },
  {
    name: 'taken',
    about: 'Somebody else was faster with the retry of a dead letter.',
    async make(shop) {
      const payload = { label: 'Order 7' }
      const { workId } = await shop.client.enqueueNow(callPartner, payload)
      const worker = await shop.startWorker(['callPartner'])
      const id = await ended(shop, workId)
      await worker.stop()
      await shop.client.redriveDeadLetters({ ids: [workId] }, by)
      return `/runs/${id}`
    },
    says: [/ann@example\.com had it retried: The partner is back/],
  },
  {
    name: 'deadLetters',
    about: '100,000 pieces of work were given up.',
    async make({ host }) {
      await host.$executeRawUnsafe(`
        insert into "JobDeadLetter" ("id", "name", "attempt", "failures", "bytes", "enqueuedAt", "failedAt", "errorCode",
          "errorMessage", "payload")
        select gen_random_uuid(), 'callPartner', 1, 1, 2, at, at, 'handler_failed', 'The partner does not answer', '{}'
        from generate_series(1, 100000) n cross join lateral (select now() - n * interval '1 ms' as at) failed`)
      return OVERVIEW
    },
    says: [/Dead letters\s+callPartner has 100,000 dead letters/],
  },
  {
    name: 'orphaned',
    about: 'Work waits of a job that has left the catalogue.',
    async make({ client }) {
      await client.enqueueManyNow(printLabels, pieces(9))
      return OVERVIEW
    },
    says: [/No living worker and no catalogue has printLabels: 9 pieces of work wait/],
  },
  {
    name: 'diskFull',
    about: 'The disk of a host is full, and a job fails.',
    async make(shop) {
      await fill(shop, 'writeExport', 20, '1 minute', '1 minute', '50 ms')
      await shop.startWorker(['writeExport'])
      const enqueued = await shop.client.enqueueManyNow(writeExport, pieces(12))
      for (const { workId } of enqueued) await ended(shop, workId)
      return OVERVIEW
    },
    says: [
      /Failing\s+12 of 32 runs of writeExport failed in the last hour, with ENOSPC \(.*at writeExport/,
    ],
  },
  {
    name: 'pausedQueue',
    about: 'Somebody has paused a queue the day before yesterday, and has forgotten it.',
    async make({ client, host }) {
      await client.enqueueManyNow(sendNewsletter, pieces(12))
      await client.pauseQueue('sendNewsletter', { actor: 'max@example.com', reason: 'They move' })
      await host.$executeRawUnsafe(
        `update "JobQueue" set "pausedAt" = now() - interval '50 hours' where "name" = 'sendNewsletter'`,
      )
      await age(host, 'sendNewsletter', '2 hours')
      return OVERVIEW
    },
    says: [
      /Paused\s+max@example\.com paused the queue of sendNewsletter 2 d ago: 12 pieces of work wait/,
      /Reason: They move/,
    ],
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
      for (const table of ['JobClaim', 'JobRun'])
        await shop.host.$executeRawUnsafe(
          `update "${table}" set "startedAt" = "startedAt" - interval '12 minutes', "createdAt" = "createdAt" - interval '12 minutes'
           where "name" = 'askPartner' and "workerId" <> 'worker-1:1:0'`,
        )
      await age(shop.host, 'askPartner', '12 minutes')
      return OVERVIEW
    },
    says: [
      /Behind\s+askPartner: 4 pieces of work wait, the oldest for 1[23] min, and none has started in the last 5 min; 4 runs are under way, the oldest for 1[23] min/,
    ],
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
      return OVERVIEW
    },
    says: [/Failing\s+10 of 40 runs of chargeCard failed in the last hour/],
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

/** Waits until so many runs of a job are under way. */
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
