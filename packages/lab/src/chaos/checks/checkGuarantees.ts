import type { ScheduledJob } from '@roundsman/engine'
import type { CheckResult } from '../../checks.ts'
import { countStrays } from '../../countStrays.ts'
import type { Queryable } from '../../openPool.ts'
import type { ClaimsLeft } from '../countClaims.ts'
import type { FleetHistory } from '../createChaosFleet.ts'
import type { Load } from '../enqueueLoad.ts'
import type { Sample } from '../sampleCounts.ts'
import { PARTS } from '../chaosJobs.ts'
import { checkTickJobs, numbers } from './checkTickJobs.ts'
import { checkTicks } from './checkTicks.ts'

/** What is known without the database. */
export interface Evidence {
  load: Load
  /** Each must have every tick in the ledger, from `startAt` to its cursor. */
  schedules: readonly ScheduledJob[]
  startAt: Date
  samples: readonly Sample[]
  claims: ClaimsLeft
  fleet: Pick<FleetHistory, 'gracefulStops' | 'crashes'>
}

/** Checks the database after all workers have ended. */
export type Check = (database: Queryable, evidence: Evidence) => Promise<CheckResult>

export async function checkGuarantees(
  database: Queryable,
  evidence: Evidence,
): Promise<CheckResult[]> {
  const results: CheckResult[] = []
  const checks: readonly Check[] = [
    checkTicks,
    checkTickJobs,
    checkRunEnds,
    checkClaims,
    checkPlaces,
    checkLimits,
    checkOrder,
    checkSuccesses,
    checkCounts,
    checkSamples,
    checkEnqueue,
    checkEffects,
    checkSteps,
    checkGracefulStops,
  ]
  for (const check of checks) results.push(await check(database, evidence))
  return results
}

/** Every run ends, those of killed workers too, and exactly once: no worker that comes back touches one that has ended. */
const checkRunEnds: Check = async (database) => {
  const { rows } = await database.query<Record<'runs' | 'running' | 'again' | 'lost', string>>(`
    select count(*) as runs,
           count(*) filter (where "status" = 'running') as running,
           count(*) filter (where ends.n <> 1 and "status" <> 'running') as again,
           count(*) filter (where "details" -> 'error' ->> 'code' = 'worker_lost') as lost
    from "JobRun" left join (
      select "runId", count(*) as n from "ChaosRunEnd" group by "runId"
    ) ends on ends."runId" = "JobRun"."id"`)
  const { runs, running, again, lost } = numbers(rows[0])
  return {
    guarantee: 'G2, G5',
    name: 'every run ended, and was not changed after it had',
    isPassed: runs > 0 && running + again === 0,
    figures: `${runs} runs, ${running} still running, ${again} changed after their end; ${lost} lost their worker`,
  }
}

/** The rescue finds a dead worker's runs by its claims: a run without a claim would be running for ever. */
const checkClaims: Check = async (database, { samples, claims }) => {
  const seen = samples.reduce((sum, { running }) => sum + running, 0)
  const astray = samples.reduce((sum, each) => sum + each.astray, 0)
  const { rows } = await database.query<Record<'unheld' | 'strange', string>>(
    `select (select count(*) from "JobRun" where "status" = 'running'
               and "id" not in (select unnest("runIds") from "JobClaim")) as unheld,
            (select count(*) from "JobClaim" where "workerId" <> all($1)) as strange`,
    [claims.workers],
  )
  const { unheld, strange } = numbers(rows[0])
  return {
    guarantee: 'G2',
    name: 'what runs is held by exactly one claim, and what a dead worker held was let go',
    isPassed: seen > 0 && astray + unheld + strange + claims.ofDead === 0,
    figures: `${seen} runs seen running, ${astray} of them not held by one claim; ${claims.ofDead} claims of dead workers were left once all was done, ${strange} of others at the end, and ${unheld} runs without one`,
  }
}

/** A process that moves work, and is killed meanwhile, moves all of it or nothing. */
const checkPlaces: Check = async (database, { samples }) => {
  const moments = samples.filter(({ doubled }) => doubled > 0).length
  const { doubled, keys, payloads } = await countStrays(database)
  return {
    guarantee: 'G2, G6',
    name: 'each piece of work is in one place, and leaves no key and no payload behind',
    isPassed: moments + doubled + keys + payloads === 0,
    figures: `${moments} of ${samples.length} moments with work in two places, ${doubled} of it at the end; ${keys} keys and ${payloads} payloads without work`,
  }
}

/** By the view that alerts ask, at every moment; and by when each run was claimed and ended, over all time. */
const checkLimits: Check = async (database, { samples }) => {
  const { rows } = await database.query<Record<'holds' | 'limits' | 'full' | 'over', string>>(`
    with ended as (
      select "runId", min("at") as "at" from "ChaosRunEnd" group by 1
    ), held as (
      select hold.*, coalesce(ended."at", 'infinity') as "until" from "ChaosHold" hold left join ended using ("runId")
    ), under as (
      select rule."name", null as "key", rule."global" as "most", held."at", held."until"
      from "JobLimit" rule join held on rule."name" = any(held."limits")
      union all
      select rule."name", held."key", case when rule."order" = 'fifo' then 1 else rule."perKey" end, held."at", held."until"
      from "JobLimit" rule join held on rule."name" = 'job:' || held."name" and (held."key" <> '' or rule."order" = 'fair')
    ), change as (
      select "name", "key", "most", "at", 1 as "by" from under union all select "name", "key", "most", "until", -1 from under
    ), counted as (
      select "name", "key", "most", sum("by") over (partition by "name", "key" order by "at", "by" rows unbounded preceding) as "running"
      from change where "most" is not null
    ), highest as (
      select "name", "key", "most", max("running") as "running" from counted group by 1, 2, 3
    )
    select (select count(*) from held) as holds, count(*) as limits,
           count(*) filter (where "running" = "most") as full, count(*) filter (where "running" > "most") as over
    from highest`)
  const { holds, limits, full, over } = numbers(rows[0])
  const exceeded = samples.filter((sample) => sample.exceeded > 0).length
  return {
    guarantee: 'G10',
    name: 'no more runs go on than a limit allows, of a job, of jobs together, and of a key',
    isPassed: full > 0 && over + exceeded === 0,
    figures: `${holds} runs under ${limits} limits and keys, ${full} of which were full at some time, and ${over} exceeded; ${exceeded} of ${samples.length} moments with a limit exceeded`,
  }
}

/** By the ids, which come in the order of the enqueues. */
const checkOrder: Check = async (database) => {
  const { rows } = await database.query<Record<'done' | 'early', string>>(`
    with done as (
      select hold."key", run."workId", min(ended."at") as "at"
      from "JobRun" run join "ChaosHold" hold on hold."runId" = run."id" join "ChaosRunEnd" ended on ended."runId" = run."id"
      where run."status" = 'success' and run."name" = 'touch' group by 1, 2
    )
    select count(*) as done, count(*) filter (where "at" < "before") as early
    from (select "at", lag("at") over (partition by "key" order by "workId") as "before" from done) one`)
  const { done, early } = numbers(rows[0])
  return {
    guarantee: 'G10',
    name: 'the work of a key is done in order',
    isPassed: done > 0 && early === 0,
    figures: `${done} done, ${early} of them before what comes first`,
  }
}

const checkSuccesses: Check = async (database) => {
  const { rows } = await database.query<Record<'done' | 'twice' | 'without' | 'most', string>>(`
    with successes as (
      select "workId", count(*) filter (where "status" = 'success') as n, max("attempt") as attempts
      from "JobRun" where not "dryRun" and "workId" is not null group by "workId"
    )
    select (select count(*) from successes where n > 0) as done,
           (select count(*) from successes where n > 1) as twice,
           (select count(*) from "ChaosJob" job left join successes on successes."workId" = job.id
            where (job.state = 'completed') <> (coalesce(n, 0) > 0)) as without,
           (select coalesce(max(attempts), 0) from successes) as most`)
  const { done, twice, without, most } = numbers(rows[0])
  return {
    guarantee: 'G2, G6',
    name: 'no work was completed twice, and what is completed has a run that succeeded',
    isPassed: done > 0 && twice + without === 0,
    figures: `${done} completed, ${twice} twice, ${without} at odds with their runs; at most ${most} attempts`,
  }
}

/** Checks each run, so that one that counts too much does not hide one that counts too little. */
const checkCounts: Check = async (database) => {
  const { rows } = await database.query<
    Record<'rows' | 'counted' | 'left' | 'effects' | 'wrong' | 'runs', string>
  >(`
    with swept as (select "sweptBy" as id, count(*) as n from "ChaosRow" where "sweptBy" is not null group by 1),
         effects as (select "runId" as id, count(*) as n from "ChaosEffect" group by 1),
         counted as (
           select run."id", coalesce(("details" ->> 'swept')::bigint, 0) as swept,
                  coalesce(("details" ->> 'effects')::bigint, 0) as effects
           from "JobRun" run)
    select (select coalesce(sum(n), 0) from swept) as rows,
           (select coalesce(sum(swept), 0) from counted) as counted,
           (select count(*) from "ChaosRow" where "sweptBy" is null) as left,
           (select count(*) from "ChaosEffect") as effects,
           (select count(*) from counted full join swept using (id) full join effects using (id)
            where coalesce(swept.n, 0) <> coalesce(counted.swept, 0)
               or coalesce(effects.n, 0) <> coalesce(counted.effects, 0)) as wrong,
           (select count(*) from swept) as runs`)
  const figures = numbers(rows[0])
  const { counted, left, effects, wrong, runs } = figures
  return {
    guarantee: 'G3, G5',
    name: 'what each run counted is what it did',
    isPassed: figures.rows === counted && left + wrong === 0,
    figures: `${figures.rows} rows swept and ${counted} counted by ${runs} runs, ${left} left over; ${effects} effects; ${wrong} runs with a wrong count`,
  }
}

const checkSamples: Check = async (_database, { samples }) => {
  const wrong = samples.filter(({ rows, counted }) => rows !== counted)
  return {
    guarantee: 'G3',
    name: 'rows changed = sum of the counts, at any instant',
    isPassed: samples.length > 0 && wrong.length === 0,
    figures: `${samples.length} snapshots, ${wrong.length} of them at odds`,
  }
}

/** Work exists if and only if the other row of its transaction does. */
const checkEnqueue: Check = async (database, { load }) => {
  const { rows } = await database.query<Record<'both' | 'alone' | 'vanished' | 'undone', string>>(
    `with job as (select id from "ChaosJob" where name in ('effect', 'touch', 'walk'))
     select count(*) filter (where job.id is not null and "workId" is not null) as both,
            count(*) filter (where job.id is null or "workId" is null) as alone,
            (select count(*) from unnest($1::uuid[]) committed(id)
             where not exists (select from job where job.id = committed.id)) as vanished,
            (select count(*) from unnest($2::uuid[]) gone(id)
             where exists (select from job where job.id = gone.id)
                or exists (select from "ChaosEnqueue" where "workId" = gone.id)
                or exists (select from "JobRun" where "workId" = gone.id)
                or exists (select from "ChaosEffect" where "workId" = gone.id)) as undone
     from job full join "ChaosEnqueue" on "workId" = job.id`,
    [load.committed, load.rolledBack],
  )
  const { both, alone, vanished, undone } = numbers(rows[0])
  return {
    guarantee: 'G4',
    name: 'work exists if and only if its transaction was committed',
    isPassed: both > 0 && alone + vanished + undone === 0,
    figures: `${both} enqueued, ${alone} without the other half, ${vanished} committed and vanished; ${load.rolledBack.length} rolled back, ${undone} of them left something; ${load.unknown} transactions cut in the middle`,
  }
}

const checkEffects: Check = async (database, { schedules }) => {
  const names = ['effect', 'part', ...schedules.map(({ name }) => name)]
  const { rows } = await database.query<Record<'jobs' | 'open' | 'without' | 'strays', string>>(
    `with job as (select id, state from "ChaosJob" where name = any($1))
     select count(*) filter (where job.id is not null) as jobs,
            count(*) filter (where state <> 'completed') as open,
            count(*) filter (where effect."workId" is null)
              + (select count(*) from "ChaosTouch" where not "isDone") as without,
            count(*) filter (where job.id is null) as strays
     from job full join "ChaosEffect" effect on effect."workId" = job.id`,
    [names],
  )
  const { jobs, open, without, strays } = numbers(rows[0])
  return {
    guarantee: 'G2, G6',
    name: 'no work was lost, and each had its effect exactly once',
    isPassed: jobs > 0 && open + without + strays === 0,
    figures: `${jobs} pieces of work, ${open} not completed, ${without} without an effect, ${strays} effects without work`,
  }
}

/** What walks have done, and what is left of their waits, signals and children. */
const checkSteps: Check = async (database, { samples }) => {
  const { rows } = await database.query<
    Record<'walks' | 'wrong' | 'again' | 'open' | 'unread' | 'lost', string>
  >(`
    with memo as (
      select count(*) as n, count(distinct "memo" - 'isFresh') as kinds from "ChaosMemo" group by "workId", "name", "item"
    )
    select (select count(*) from "ChaosWalk") as walks,
           (select count(*) from "ChaosWalk" walk where
              (select count(*) from "ChaosCall" call where call."id" = walk."id") <> 1
              or not exists (select from "ChaosCharge" charge where charge."id" = walk."id")
              or (select count(*) from "ChaosBooking" booking where booking."id" = walk."id") <> 1
           ) + (select count(*) from "ChaosJob" job where name = 'walk' and (
              state <> 'completed' or (select count(*) from "JobChild" where "parentId" = job.id and "errorCode" is null) <> ${PARTS}
           )) as wrong,
           (select count(*) from memo where kinds > 1) as again,
           (select count(*) from "JobStep" where "endedAt" is null) + (select count(*) from "JobChild" where "endedAt" is null) as open,
           (select count(*) from "JobSignal" where "takenBy" is null) as unread,
           (select count(*) from "JobChildLost") as lost`)
  const { walks, wrong, again, open, unread, lost } = numbers(rows[0])
  const lostBefore = samples.filter((sample) => sample.lost > 0).length
  return {
    guarantee: 'G12',
    name: 'each step has its effect and its memo once, and no wait, signal or child is left',
    isPassed: walks > 0 && wrong + again + open + unread + lost + lostBefore === 0,
    figures: `${walks} pieces of durable work, ${wrong} at odds with their effects; ${again} memos changed, ${open} waits and children open, ${unread} signals unread, ${lost} children lost, and some at ${lostBefore} of ${samples.length} moments`,
  }
}

/**
 * A worker that was asked to end exits with 0, and, if it was left in peace meanwhile, leaves nothing to the rescue. No
 * worker ends without being asked.
 */
const checkGracefulStops: Check = async (database, { fleet }) => {
  const { gracefulStops, crashes } = fleet
  const undisturbed = gracefulStops.filter(({ isUndisturbed }) => isUndisturbed)
  const { rows } = await database.query<Record<'left', string>>(
    `select count(*) as left
     from unnest($1::text[], $2::timestamptz[]) stop("workerId", at)
     join "JobRun" run on run."workerId" = stop."workerId"
     left join "ChaosRunEnd" ended on ended."runId" = run."id"
     where run."status" = 'running'
        or run."details" -> 'error' ->> 'code' = 'worker_lost' and ended."at" > stop.at`,
    [undisturbed.map(({ workerId }) => workerId), undisturbed.map(({ at }) => new Date(at))],
  )
  const { left } = numbers(rows[0])
  const bad = gracefulStops.filter(({ exit }) => exit.code !== 0)
  const exits = bad.map(({ exit }) => exit.signal ?? exit.code).join(', ')
  return {
    guarantee: 'G8',
    name: 'a worker that is asked to end exits with 0 and leaves no run behind; none ends by itself',
    isPassed: gracefulStops.length > 0 && bad.length + left + crashes.length === 0,
    figures: `${gracefulStops.length} asked, ${bad.length} ended otherwise${exits && ` (${exits})`}, ${left} runs left behind; ${crashes.length} ended by themselves`,
  }
}
