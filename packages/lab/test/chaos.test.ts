// Not quick: breaks each guarantee.
import { createTestDatabase, type TestDatabase, useLivingWorkers } from '@roundsman/testing'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createLogger } from '@roundsman/node-app'
import { openPool, type Queryable, type Pool } from '../src/openPool.ts'
import { migrate } from '@roundsman/engine/migrate'
import { chaosSchedules } from '../src/chaos/chaosJobs.ts'
import { checkGuarantees, type Evidence } from '../src/chaos/checks/checkGuarantees.ts'
import { countClaims } from '../src/chaos/countClaims.ts'
import { createPlan } from '../src/chaos/createPlan.ts'
import { createRandom } from '../src/createRandom.ts'
import { createChaosTables } from '../src/chaos/prepareDatabase.ts'
import { takeSample } from '../src/chaos/sampleCounts.ts'

describe('a seed', () => {
  const plan = (seed: number) => createPlan(createRandom(seed), { kills: 50, durationMs: 60_000 })

  it('names one plan, with every kind of disturbance', () => {
    expect(plan(7)).toEqual(plan(7))
    expect(plan(7)).not.toEqual(plan(8))
    expect(new Set(plan(7).map(({ kind }) => kind)).size).toBe(9)
  })

  it('is over in time', () => {
    for (const disturbance of plan(7)) {
      const lastsMs = 'durationMs' in disturbance ? disturbance.durationMs : 0
      expect(disturbance.atMs + lastsMs).toBeLessThanOrEqual(60_000)
    }
  })
})

/** Work, runs and rows of a small run in which all went well. */
const IDS = {
  tick: '00000000-0000-4000-8000-000000000001',
  effect: '00000000-0000-4000-8000-000000000002',
  sweep: '00000000-0000-4000-8000-000000000003',
  tickRun: '00000000-0000-4000-8000-000000000011',
  effectRun: '00000000-0000-4000-8000-000000000012',
  sweepRun: '00000000-0000-4000-8000-000000000013',
  touchRun: '00000000-0000-4000-8000-000000000014',
  walk: '00000000-0000-4000-8000-000000000015',
  other: '00000000-0000-4000-8000-0000000000ff',
}
const START = '2030-01-01T00:00:00Z'
/** From the beginning to its end, if it has one. */
function held(name: string, runId: string, key = 'a'): string {
  return `insert into "ChaosHold" values ('${runId}', '${name}', '${key}', '{job:${name},narrow}', '2020-01-01T00:00:00Z');`
}
/** Work of the key b, whose run has ended. */
function touched(runId: string, workId: string): string {
  return `
  insert into "ChaosHold" select '${runId}', 'touch', 'b', '{job:touch,narrow}', clock_timestamp();
  insert into "ChaosWork" values ('${workId}', 'touch'); insert into "ChaosEnqueue" values ('${workId}');
  insert into "JobRun" ("id", "name", "trigger", "workId", "workerId", "status", "endedAt")
    values ('${runId}', 'touch', 'queue', '${workId}', 'w1', 'success', now());`
}

/** A walk in which all went well. Its run has its id. */
const WALKED = `
  insert into "ChaosWork" values ('${IDS.walk}', 'walk'); insert into "ChaosEnqueue" values ('${IDS.walk}');
  insert into "JobRun" ("id", "name", "trigger", "workId", "workerId", "status", "endedAt")
    values ('${IDS.walk}', 'walk', 'queue', '${IDS.walk}', 'w1', 'success', now());
  insert into "ChaosWalk" values ('${IDS.walk}', true); insert into "ChaosCall" values ('${IDS.walk}', 'key');
  insert into "ChaosCharge" values ('${IDS.walk}'); insert into "ChaosBooking" values ('${IDS.walk}', '${IDS.walk}');
  insert into "JobStep" ("workId", "name", "kind", "seq", "runId", "startedAt", "endedAt")
    values ('${IDS.walk}', 'call', 'run', 1, '${IDS.walk}', now(), now());
  insert into "JobSignal" ("name", "key", "id", "payload", "takenBy", "expiresAt")
    values ('answered', '${IDS.walk}', 'a', '1', '${IDS.walk}', 'infinity');
  insert into "JobChild" ("parentId", "step", "item", "at", "workId", "job", "endedAt")
    select '${IDS.walk}', 'parts', '', n, gen_random_uuid(), 'part', now() from generate_series(0, 2) n;`

const GOOD = `
  insert into "JobSchedule" ("name", "cron", "timeZone", "cursor")
    values ('tickSkip', '* * * * * *', 'UTC', '2030-01-01T00:00:03Z');
  insert into "JobTick" ("name", "scheduledFor", "outcome", "workId", "count", "through", "workerId") values
    ('tickSkip', '2030-01-01T00:00:01Z', 'enqueued', '${IDS.tick}', 1, null, 'w1'),
    ('tickSkip', '2030-01-01T00:00:02Z', 'missed', null, 2, '2030-01-01T00:00:03Z', 'w1');
  update "JobTick" set "createdAt" = '2030-01-01T00:00:03Z';
  insert into "ChaosWork" values
    ('${IDS.tick}', 'tickSkip'), ('${IDS.effect}', 'effect'), ('${IDS.sweep}', 'sweep');
  insert into "JobRun" ("id", "name", "trigger", "workId", "workerId", "details") values
    ('${IDS.tickRun}', 'tickSkip', 'schedule', '${IDS.tick}', 'w1', '{"effects": 1}'),
    ('${IDS.effectRun}', 'effect', 'queue', '${IDS.effect}', 'w1', '{"effects": 1}'),
    ('${IDS.sweepRun}', 'sweep', 'queue', '${IDS.sweep}', 'w2', '{"swept": 2, "batches": 1}');
  update "JobRun" set "status" = 'success', "endedAt" = now();
  ${held('effect', IDS.effectRun)}
  ${touched(IDS.touchRun, IDS.touchRun)}
  ${WALKED}
  insert into "JobLimit" ("name", "global", "perKey", "order", "jobs") values
    ('job:effect', 2, 1, 'fair', null), ('job:touch', null, 1, 'fifo', null), ('narrow', 2, null, null, '{effect,touch}');
  insert into "ChaosEnqueue" values ('${IDS.effect}');
  insert into "ChaosEffect" values ('${IDS.tick}', '${IDS.tickRun}'), ('${IDS.effect}', '${IDS.effectRun}');
  insert into "ChaosRow" values (1, '${IDS.sweepRun}'), (2, '${IDS.sweepRun}');`

const SAMPLE = { rows: 4, counted: 4, running: 1, astray: 0, doubled: 0, exceeded: 0, lost: 0 }

const waits = (id: string, name: string) => `
  insert into "JobWork" ("id", "name", "bytes") values ('${id}', '${name}', 2);`
const givenUp = (id: string, name: string) => `
  insert into "JobDeadLetter" ("id", "name", "bytes", "errorCode", "errorMessage") values ('${id}', '${name}', 2, 'broken', '');`
const claim = (workerId: string, ...runIds: string[]) => `
  insert into "JobClaim" ("id", "name", "workerId", "startedAt", "expiresAt", "runIds", "enqueuedAts")
  select gen_random_uuid(), 'effect', '${workerId}', now(), 'infinity', ids, array_fill(now(), array[cardinality(ids)])
  from (select array[${runIds.map((id) => `'${id}'`).join(', ')}]::uuid[] as ids) held;`

const EVIDENCE: Evidence = {
  load: { committed: [IDS.effect], rolledBack: [IDS.other], unknown: 0 },
  schedules: chaosSchedules.filter(({ name }) => name === 'tickSkip'),
  startAt: new Date(START),
  samples: [SAMPLE],
  claims: { ofDead: 0, workers: ['w1'] },
  fleet: {
    gracefulStops: [
      { workerId: 'w1', exit: { code: 0, signal: null }, at: 0, isUndisturbed: true },
    ],
    crashes: [],
  },
}

const stopped = (code: number | null, signal: NodeJS.Signals | null) => ({
  fleet: {
    gracefulStops: [{ workerId: 'w1', exit: { code, signal }, at: 0, isUndisturbed: true }],
    crashes: [],
  },
})

const TICKS = 'every due tick is in the ledger exactly once'
const TICK_JOBS = 'every enqueued tick has exactly one piece of work, and it was carried out'
const RUN_ENDS = 'every run ended, and was not changed after it had'
const CLAIMS = 'what runs is held by exactly one claim, and what a dead worker held was let go'
const PLACES = 'each piece of work is in one place, and leaves no key and no payload behind'
const LIMITS = 'no more runs go on than a limit allows, of a job, of jobs together, and of a key'
const ORDER = 'the work of a key is done in order'
const SUCCESSES = 'no work was completed twice, and what is completed has a run that succeeded'
const COUNTS = 'what each run counted is what it did'
const SAMPLES = 'rows changed = sum of the counts, at any instant'
const ENQUEUE = 'work exists if and only if its transaction was committed'
const EFFECTS = 'no work was lost, and each had its effect exactly once'
const STEPS = 'each step has its effect and its memo once, and no wait, signal or child is left'
const STOPS =
  'a worker that is asked to end exits with 0 and leaves no run behind; none ends by itself'

interface Violation {
  what: string
  /** The check that must notice it. Others may, too. */
  by: string
  sql?: string
  evidence?: Partial<Evidence>
}

const VIOLATIONS: Violation[] = [
  {
    what: 'a tick that is missing',
    by: TICKS,
    sql: `delete from "JobTick" where "scheduledFor" = '2030-01-01T00:00:01Z'`,
  },
  {
    what: 'a row that stands for fewer ticks than there were',
    by: TICKS,
    sql: `update "JobTick" set "through" = '2030-01-01T00:00:02Z', "count" = 1 where "count" = 2`,
  },
  {
    what: 'a row that says a wrong number of ticks',
    by: TICKS,
    sql: `update "JobTick" set "count" = 3 where "count" = 2`,
  },
  {
    what: 'a tick that is there on its own and in a row for many',
    by: TICKS,
    sql: `insert into "JobTick" ("name", "scheduledFor", "outcome", "workerId")
          values ('tickSkip', '2030-01-01T00:00:03Z', 'skipped', 'w2')`,
  },
  {
    what: 'a tick that was not due',
    by: TICKS,
    sql: `insert into "JobTick" ("name", "scheduledFor", "outcome", "workerId")
          values ('tickSkip', '2030-01-01T00:00:02.5Z', 'skipped', 'w2')`,
  },
  {
    what: 'a tick that was decided before its time',
    by: TICKS,
    sql: `update "JobTick" set "createdAt" = '2029-12-31T23:59:59Z' where "count" = 1`,
  },
  {
    what: 'a ledger that goes beyond its cursor',
    by: TICKS,
    sql: `update "JobSchedule" set "cursor" = '2030-01-01T00:00:02Z'`,
  },
  { what: 'a schedule that is gone', by: TICKS, sql: 'delete from "JobSchedule"' },
  {
    what: 'an enqueued tick without its work',
    by: TICK_JOBS,
    sql: `delete from "ChaosWork" where name = 'tickSkip'`,
  },
  {
    what: 'work of a schedule without a tick',
    by: TICK_JOBS,
    sql: `insert into "ChaosWork" values ('${IDS.other}', 'tickSkip')`,
  },
  {
    what: 'work for a tick that was not enqueued',
    by: TICK_JOBS,
    sql: `update "JobTick" set "outcome" = 'skipped' where "workId" is not null`,
  },
  {
    what: 'a tick whose work was given up',
    by: TICK_JOBS,
    sql: givenUp(IDS.tick, 'tickSkip'),
  },
  {
    what: 'a run that never ended',
    by: RUN_ENDS,
    sql: `insert into "JobRun" ("id", "name", "trigger", "workerId") values ('${IDS.other}', 'effect', 'queue', 'w3')`,
  },
  {
    what: 'a run that was changed after its end',
    by: RUN_ENDS,
    sql: `update "JobRun" set "details" = '{"effects": 1}' where "id" = '${IDS.effectRun}'`,
  },
  {
    what: 'a run that was not held by one claim at some moment',
    by: CLAIMS,
    evidence: { samples: [SAMPLE, { ...SAMPLE, astray: 1 }] },
  },
  {
    what: 'moments in which nothing ran',
    by: CLAIMS,
    evidence: { samples: [{ ...SAMPLE, running: 0 }] },
  },
  {
    what: 'a claim of a dead worker while others lived',
    by: CLAIMS,
    evidence: { claims: { ofDead: 1, workers: ['w1'] } },
  },
  {
    what: 'a claim of none of the last workers',
    by: CLAIMS,
    sql: claim('w2', IDS.effectRun),
  },
  {
    what: 'a run that nobody holds',
    by: CLAIMS,
    sql: `insert into "JobRun" ("id", "name", "trigger", "workerId") values ('${IDS.other}', 'effect', 'queue', 'w1')`,
  },
  {
    what: 'work that was in two places at some moment',
    by: PLACES,
    evidence: { samples: [SAMPLE, { ...SAMPLE, doubled: 1 }] },
  },
  {
    what: 'work that waits and was given up',
    by: PLACES,
    sql: waits(IDS.effect, 'effect') + givenUp(IDS.effect, 'effect'),
  },
  {
    what: 'work that waits and runs',
    by: PLACES,
    sql: waits(IDS.other, 'effect') + claim('w1', IDS.other),
  },
  {
    what: 'a key without work',
    by: PLACES,
    sql: `insert into "JobUnique" values ('touch', 'key', '${IDS.effect}')`,
  },
  {
    what: 'a payload without work',
    by: PLACES,
    sql: `insert into "JobPayload" ("id", "workId", "payload") values (gen_random_uuid(), '${IDS.effect}', '{}')`,
  },
  {
    what: 'a limit that was exceeded at some moment',
    by: LIMITS,
    evidence: { samples: [SAMPLE, { ...SAMPLE, exceeded: 1 }] },
  },
  {
    what: 'more runs at once than a shared limit allows, of two jobs',
    by: LIMITS,
    sql: held('effect', IDS.other, 'c') + held('touch', IDS.effect, 'd'),
  },
  {
    what: 'more runs of a key at once than may be',
    by: LIMITS,
    sql: held('effect', IDS.other),
  },
  { what: 'runs of which none was under a limit', by: LIMITS, sql: 'delete from "ChaosHold"' },
  {
    what: 'work that was done before earlier work of its key',
    by: ORDER,
    sql: touched(IDS.other, IDS.tickRun),
  },
  {
    what: 'work with two successful runs',
    by: SUCCESSES,
    sql: `insert into "JobRun" ("id", "name", "trigger", "workId", "workerId", "status", "endedAt")
          values ('${IDS.other}', 'effect', 'queue', '${IDS.effect}', 'w3', 'success', now())`,
  },
  {
    what: 'completed work without a successful run',
    by: SUCCESSES,
    sql: `update "JobRun" set "status" = 'failed', "errorCode" = 'broken' where "id" = '${IDS.sweepRun}'`,
  },
  {
    what: 'a successful run whose work was not completed',
    by: SUCCESSES,
    sql: waits(IDS.sweep, 'sweep'),
  },
  {
    what: 'a run that counted too much',
    by: COUNTS,
    sql: `update "JobRun" set "details" = '{"swept": 3}' where "id" = '${IDS.sweepRun}'`,
  },
  {
    what: 'rows that no run counted',
    by: COUNTS,
    sql: `insert into "ChaosRow" values (3, '${IDS.other}')`,
  },
  {
    what: 'counts that are right in sum only',
    by: COUNTS,
    sql: `update "JobRun" set "details" = '{"swept": 1}' where "name" in ('sweep', 'effect');
          update "ChaosRow" set "sweptBy" = '${IDS.sweepRun}'`,
  },
  { what: 'a row that was left over', by: COUNTS, sql: 'insert into "ChaosRow" values (3, null)' },
  {
    what: 'a snapshot at odds',
    by: SAMPLES,
    evidence: { samples: [SAMPLE, { ...SAMPLE, rows: 5 }] },
  },
  { what: 'no snapshot at all', by: SAMPLES, evidence: { samples: [] } },
  {
    what: 'work whose transaction left nothing else',
    by: ENQUEUE,
    sql: 'delete from "ChaosEnqueue"',
  },
  {
    what: 'a committed transaction whose work is lost',
    by: ENQUEUE,
    sql: `delete from "ChaosWork" where name = 'effect'`,
  },
  {
    what: 'a committed transaction of which nothing is left',
    by: ENQUEUE,
    evidence: { load: { committed: [IDS.effect, IDS.other], rolledBack: [], unknown: 0 } },
  },
  {
    what: 'work of a transaction that was rolled back',
    by: ENQUEUE,
    evidence: { load: { committed: [], rolledBack: [IDS.effect], unknown: 0 } },
  },
  {
    what: 'work without an effect',
    by: EFFECTS,
    sql: `delete from "ChaosEffect" where "workId" = '${IDS.effect}'`,
  },
  {
    what: 'work that was given up',
    by: EFFECTS,
    sql: givenUp(IDS.effect, 'effect'),
  },
  {
    what: 'an effect without work',
    by: EFFECTS,
    sql: `insert into "ChaosEffect" values ('${IDS.other}', '${IDS.effectRun}')`,
  },
  {
    what: 'a step that was done under two keys',
    by: STEPS,
    sql: `insert into "ChaosCall" values ('${IDS.walk}', 'other')`,
  },
  { what: 'a charge that was lost', by: STEPS, sql: 'delete from "ChaosCharge"' },
  {
    what: 'a transaction of a step that was committed twice',
    by: STEPS,
    sql: `insert into "ChaosBooking" values ('${IDS.walk}', '${IDS.other}')`,
  },
  {
    what: 'a memo that was changed',
    by: STEPS,
    sql: `update "JobStep" set "result" = '2' where "name" = 'call'`,
  },
  { what: 'a wait that is left', by: STEPS, sql: `update "JobStep" set "endedAt" = null` },
  { what: 'a signal that no wait took', by: STEPS, sql: `update "JobSignal" set "takenBy" = null` },
  {
    what: 'a child that is nowhere',
    by: STEPS,
    sql: `update "JobChild" set "endedAt" = null where "at" = 1`,
  },
  {
    what: 'a child that was nowhere at some moment',
    by: STEPS,
    evidence: { samples: [SAMPLE, { ...SAMPLE, lost: 1 }] },
  },
  { what: 'durable work that was given up', by: STEPS, sql: givenUp(IDS.walk, 'walk') },
  { what: 'no durable work at all', by: STEPS, sql: 'delete from "ChaosWalk"' },
  { what: 'a graceful end with another code', by: STOPS, evidence: stopped(1, null) },
  { what: 'a graceful end by a signal', by: STOPS, evidence: stopped(null, 'SIGKILL') },
  {
    what: 'a run that a graceful end left running',
    by: STOPS,
    sql: `insert into "JobRun" ("id", "name", "trigger", "workerId") values ('${IDS.other}', 'effect', 'queue', 'w1')`,
  },
  {
    what: 'a run that a graceful end left to the rescue',
    by: STOPS,
    sql: `update "JobRun" set "details" = '{"error": {"code": "worker_lost"}}' where "id" = '${IDS.effectRun}'`,
  },
  {
    what: 'a worker that ended by itself',
    by: STOPS,
    evidence: {
      fleet: {
        ...EVIDENCE.fleet,
        crashes: [{ workerId: 'w3', exit: { code: 1, signal: null }, lastLines: [] }],
      },
    },
  },
]

describe('the checks', () => {
  let testDatabase: TestDatabase
  let database: Pool

  beforeAll(async () => {
    const log = createLogger({ app: 'chaos', level: 'silent' })
    testDatabase = await createTestDatabase()
    await migrate({ schema: 'public', databaseUrl: testDatabase.url, log })
    database = openPool({ url: testDatabase.url, applicationName: 'test' })
    await createChaosTables(database)
  })

  afterAll(async () => {
    await database.close()
    await testDatabase.drop()
  })

  /** Returns what `look` sees in this state, which is rolled back afterwards. */
  async function seenIn<Seen>(sql: string, look: (tx: Queryable) => Promise<Seen>): Promise<Seen> {
    let seen: Promise<Seen> | undefined
    const work = async (tx: Queryable) => {
      await tx.query(`${GOOD}; ${sql}`)
      seen = look(tx)
      await seen
      throw new RolledBack()
    }
    await database.transaction(work).catch((error: unknown) => {
      if (!(error instanceof RolledBack)) throw error
    })
    return await (seen as Promise<Seen>)
  }

  /** The names of the checks that fail. */
  async function failedChecks(sql: string, evidence: Partial<Evidence> = {}): Promise<string[]> {
    const results = await seenIn(sql, (tx) => checkGuarantees(tx, { ...EVIDENCE, ...evidence }))
    return results.filter(({ isPassed }) => !isPassed).map(({ name }) => name)
  }

  it('pass when all went well', async () => {
    expect(await failedChecks('')).toEqual([])
  })

  it.each(VIOLATIONS)('see $what', async ({ by, sql = '', evidence }) => {
    expect(await failedChecks(sql, evidence)).toContain(by)
  })

  describe('are told', () => {
    useLivingWorkers(() => testDatabase.url, 'w1')
    const RUNNING = `
      insert into "JobRun" ("id", "name", "trigger", "workerId") values ('${IDS.other}', 'effect', 'queue', 'w3');`
    const claimBy = (workerId: string) => claim(workerId, IDS.effectRun, IDS.other)

    it.each([
      { what: 'one that its worker holds', claims: claimBy('w3'), astray: 0 },
      { what: 'one that nobody holds', claims: '', astray: 1 },
      { what: 'one that is held twice', claims: claimBy('w3') + claimBy('w3'), astray: 1 },
      { what: 'one that another worker holds', claims: claimBy('w1'), astray: 1 },
    ])('of runs under way, $what', async ({ claims, astray }) => {
      const sample = await seenIn(RUNNING + claims, takeSample)
      expect(sample).toEqual({
        rows: 4,
        counted: 4,
        running: 1,
        astray,
        doubled: 0,
        exceeded: 0,
        lost: 0,
      })
    })

    it('which work is in two places', async () => {
      const both = waits(IDS.other, 'effect') + claim('w1', IDS.other)
      expect(await seenIn(both, takeSample)).toMatchObject({ doubled: 1 })
    })

    it('which claims are those of the dead', async () => {
      const listed = `insert into "JobWorker" ("id") values ('w1'), ('w2');`
      const claims = claimBy('w1') + claimBy('w2') + claimBy('w3')
      expect(await seenIn(listed + claims, countClaims)).toEqual({ ofDead: 2, workers: ['w1'] })
    })
  })
})

class RolledBack extends Error {}
