import type { Partition } from '../job/limits.ts'
import type { Connection } from '../database/database.ts'
import { hasNotEnded } from './heldRuns.ts'
import { IN_PLACE, IN_TIME, LATER, READY, SUSPECT } from './waitingSql.ts'

/*
 * Limits over all workers (docs/adr/0023-limits.md). No row keeps a count of runs: a claim locks the rows of its limits and
 * then counts the runs under way of the claims that name them. So a slot comes free by the commit that ends a run, however it ends.
 */

/** Under which limits a job's work is taken, and in which order its keys get their turn (null: it has none). */
export interface JobRules {
  limits: string[]
  order: Partition['order'] | null
}

/** Jobs without limits are missing. */
export type RulesByJob = Record<string, JobRules>

/** An expression for RulesByJob, of the jobs in the parameter `names`. */
export const rulesSql = (names: string) => `(
    select coalesce(jsonb_object_agg(rules."name", rules."of"), '{}') from (
      select job.name, jsonb_build_object('limits', jsonb_agg(one."name" order by one."name"), 'order', max(one."order")) as "of"
      from unnest(${names}::text[]) job(name) join "JobLimit" one on one."name" = 'job:' || job.name or job.name = any(one."jobs")
      group by job.name
    ) rules
  )`

/** Reads the rules of these jobs. */
export async function readRules(
  connection: Connection,
  names: readonly string[],
): Promise<RulesByJob> {
  const { rows } = await connection.query<{ rules: RulesByJob }>(
    `select ${rulesSql('$1')} as "rules"`,
    [names],
  )
  return rows[0]?.rules ?? {}
}

/**
 * The terms of a rate of `limit` starts, by the generic cell rate algorithm: each start moves `freeAt` on by its share of the time.
 * `ahead.ms`: how far its row is ahead.
 */
function rateOf(limit: string, freeAt: string) {
  const burst = `greatest(1, floor(${limit} / 10))`
  const intervalMs = `rule."ratePerMs"::float8 / ${limit}`
  const ahead = `(extract(epoch from ${freeAt} - clock_timestamp()) * 1000)::float8`
  return {
    // Never further than the burst.
    ahead: `(SELECT least(${burst} * ${intervalMs}, greatest(0, ${ahead})) AS ms) ahead`,
    starts: `CASE WHEN ${limit} IS NOT NULL THEN floor(${burst} - ahead.ms / (${intervalMs}))::int END`,
    nextAt: `CASE WHEN ahead.ms > (${burst} - 1) * ${intervalMs}
                 THEN clock_timestamp() + (ahead.ms - (${burst} - 1) * ${intervalMs}) * interval '1 millisecond' END`,
    startMs: `CASE WHEN ${limit} IS NOT NULL THEN ${intervalMs} END`,
    from: `CASE WHEN ${limit} IS NOT NULL THEN clock_timestamp() + ahead.ms * interval '1 millisecond' END`,
  }
}

const OF_ALL = rateOf('rule."ofAll"', 'throttle."freeAt"')
const OF_KEY = rateOf('rule."ofKey"', 'own."freeAt"')

/** Whether the order of `rule` is that of age for this key. Work without a key has no order. */
const isByAge = (key: string) => `rule."order" = 'fifo' AND ${key} <> ''`
/** How many runs of a key go on at once, by the rows `rule` of its job and `own` of the key. Null: any number. */
const mostOfKey = (key: string) =>
  `CASE WHEN ${isByAge(key)} THEN 1 WHEN rule."order" = 'fair' THEN coalesce(own."perKey", rule."perKey") END`

/**
 * Locks the limits $1, in the order of their names, and counts the runs under each limit and of the keys $3 of the job $2. It is a
 * function because the calling statement's snapshot is older than the locks: statements in here see what others have committed
 * meanwhile. The caller knows which claims up to the place $5 still have runs: it reads only those, at the places $6. If the server
 * was not started at the moment $4, it reads all.
 *
 * It returns nothing while the queue of the job is paused, or if the job is under other limits than $1, or has another order of its
 * keys than $7: the worker has not read the rows since they changed.
 *
 * It returns a row for each limit and for each key: how many may start (null: any number), when the next may start, how far one start
 * moves a rate on in milliseconds, and from where. If keys take turns by age, it also returns the first work of each key. A row
 * without a limit and a key has the server's start, the place up to which it has seen all claims, and the claims with runs under way.
 *
 * Its plan is kept: a new plan for each claim's arrays took ten times as long as the execution. So it must not scan tables that were
 * short when the plan was made.
 */
export const LIMIT_STATE_SQL = `
      CREATE FUNCTION roundsman."JobLimitState"(text[], text, text[], text, bigint, bigint[], text)
      RETURNS TABLE ("limit" text, "key" text, "free" int, "openAt" timestamptz, "startMs" float8, "from" timestamptz, "head" uuid,
        "server" text, "seen" bigint, "living" bigint[])
      LANGUAGE plpgsql SET plan_cache_mode = force_generic_plan SET enable_seqscan = off AS $$
      #variable_conflict use_column
      DECLARE
        behind bigint := CASE WHEN $4 = pg_postmaster_start_time()::text THEN $5 ELSE 0 END;
      BEGIN
        PERFORM FROM "JobLimit" one WHERE one."name" = ANY($1) ORDER BY one."name" FOR UPDATE;
        IF EXISTS (SELECT FROM "JobQueue" paused WHERE paused."name" = $2) OR (
          SELECT (array_agg(own."name"), max(own."order")) FROM (
            SELECT * FROM "JobLimit" one WHERE one."name" = 'job:' || $2 OR $2 = ANY(one."jobs") ORDER BY one."name"
          ) own
        ) IS DISTINCT FROM ($1, $7) THEN RETURN; END IF;
        RETURN QUERY
        WITH claim AS MATERIALIZED (
          SELECT "place", "name", "limits", "runIds", "keys" FROM "JobClaim" WHERE "limits" IS NOT NULL AND "place" > behind
          UNION ALL
          SELECT "place", "name", "limits", "runIds", "keys" FROM "JobClaim" WHERE "limits" IS NOT NULL AND "place" = ANY($6) AND "place" <= behind
        ), held AS MATERIALIZED (
          SELECT claim."place", claim."name", claim."limits", one."key"
          FROM claim CROSS JOIN LATERAL unnest(claim."runIds", claim."keys") AS one("id", "key")
          WHERE claim."limits" && $1 AND ${hasNotEnded('one."id"')}
        ), rule AS MATERIALIZED (
          SELECT "name", coalesce("setGlobal", "global") AS "global", "perKey", "order", "ratePerMs", "parkedUntil",
                 CASE WHEN "rateBy" IS DISTINCT FROM 'key' THEN "rateLimit" END AS "ofAll",
                 CASE WHEN "rateBy" = 'key' THEN "rateLimit" END AS "ofKey"
          FROM "JobLimit" WHERE "name" = ANY($1)
        )
        SELECT rule."name", NULL::text,
               least(rule."global" - runs.count, ${OF_ALL.starts}, CASE WHEN rule."parkedUntil" > clock_timestamp() THEN 0 END),
               greatest(rule."parkedUntil", ${OF_ALL.nextAt}),
               ${OF_ALL.startMs}, ${OF_ALL.from}, NULL::uuid, NULL::text, NULL::bigint, NULL::bigint[]
        FROM rule
          CROSS JOIN LATERAL (SELECT count(*)::int AS count FROM held WHERE rule."name" = ANY(held."limits")) runs
          LEFT JOIN "JobThrottle" throttle ON throttle."name" = ${throttleOf('rule."name"')}
          CROSS JOIN LATERAL ${OF_ALL.ahead}
        UNION ALL
        SELECT NULL, asked."key",
               CASE WHEN greatest(own."pausedUntil", own."parkedUntil") > clock_timestamp() OR ${isByAge('asked."key"')} AND head."id" IS NULL THEN 0
                 ELSE least(${mostOfKey('asked."key"')} - coalesce(runs.count, 0), ${OF_KEY.starts}) END,
               greatest(own."pausedUntil", own."parkedUntil", ${OF_KEY.nextAt}),
               ${OF_KEY.startMs}, ${OF_KEY.from}, head."id", NULL, NULL, NULL
        FROM unnest($3) AS asked("key")
          LEFT JOIN rule ON rule."name" = 'job:' || $2
          LEFT JOIN (
            SELECT held."key", count(*)::int AS count FROM held WHERE held."name" = $2 GROUP BY 1
          ) runs ON runs."key" = asked."key"
          LEFT JOIN "JobKey" own ON own."name" = $2 AND own."key" = asked."key"
          CROSS JOIN LATERAL ${OF_KEY.ahead}
          LEFT JOIN LATERAL (
            -- Of all that is left of the key, wherever it is: what follows has to wait for it.
            SELECT first."id" FROM (
              SELECT work."id", work."place" IS NOT NULL AS "isDue" FROM "JobWork" work
              WHERE work."name" = $2 AND work."key" = asked."key" ORDER BY work."id" LIMIT 1
            ) first
            WHERE ${isByAge('asked."key"')} AND first."isDue" AND NOT EXISTS (
              SELECT FROM "JobDeadLetter" letter
              WHERE letter."name" = $2 AND letter."key" = asked."key" AND letter."id" < first."id"
            )
          ) head ON true
        UNION ALL
        -- Whoever is under one of these limits gets a greater place, after us. A place without a claim does not count: after a crash of
        -- the server the sequence gives it again.
        SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, pg_postmaster_start_time()::text,
               greatest(behind, (SELECT max(claim."place") FROM claim)),
               array(SELECT DISTINCT held."place" FROM held);
      END $$;`

/** Removes rows of keys without a setting, once their rate and park are over. */
export async function dropUnsetKeys(connection: Connection): Promise<void> {
  await connection.query(`
    delete from "JobKey" where ("name", "key") in (
      select "name", "key" from "JobKey"
      where "perKey" is null and "pausedUntil" is null and greatest("freeAt", "parkedUntil") < now() - interval '1 minute'
      order by greatest("freeAt", "parkedUntil") limit ${MAX_KEYED} for update skip locked
    )`)
}

/** When the first piece of a key can start, by its pause, its park and its rate; null or past: now. */
export const keyOpensAt = (name: string, key: string) => `
      select greatest(own."pausedUntil", own."parkedUntil", ${OF_KEY.nextAt}) as "at"
      from "JobKey" own
        left join (
          select "ratePerMs", "rateLimit" as "ofKey" from "JobLimit" where "name" = 'job:' || ${name} and "rateBy" = 'key'
        ) rule on true
        cross join lateral ${OF_KEY.ahead}
      where own."name" = ${name} and own."key" = ${key}`

const MAX_KEYED = 10_000
const first = (part: string, order: string) => `
      select * from (
        select work."id", work."key" from "JobWork" work where work."name" = job.name and ${part} order by ${order} limit $2
      ) first where first."key" is null`
const GIVE_EMPTY_KEYS_SQL = `
  update "JobWork" set "key" = '' where "id" = any(array(
    select work."id" from "JobWork" work where work."id" = any(array(
      select first."id" from unnest($1::text[]) job(name) cross join lateral (${first(READY, IN_PLACE)}
        union all ${first(SUSPECT, IN_PLACE)}
        union all ${first(LATER, IN_TIME)}
      ) first limit ${MAX_KEYED}
    )) and work."key" is null for update skip locked
  ))`

/**
 * Gives work of these jobs a share that was enqueued before they had keys: it stands before what came later, so it is looked for among
 * the first `among`. Null: among all, which takes long where much waits.
 */
export async function giveEmptyKeys(
  connection: Connection,
  names: readonly string[],
  among: number | null,
): Promise<void> {
  await connection.query(GIVE_EMPTY_KEYS_SQL, [names, among])
}

/** A limit that has no room for one more run. */
export interface FullLimit {
  /** The job that has the limit, or the name of a shared limit. */
  name: string
  /** The key that has no room; empty: that of work without one. Null: none of the limit's work has room. */
  key: string | null
}

/** The limits $1, which the caller's transaction has locked, that have no room for one more run of the job $2 with the key $3. */
const FULL_SQL = `
  with held as materialized (
    select claim."name", claim."limits", one."key"
    from "JobClaim" claim cross join lateral unnest(claim."runIds", claim."keys") as one("id", "key")
    where claim."limits" && $1::text[] and ${hasNotEnded('one."id"')}
  )
  select coalesce(substring(rule."name" from '^job:(.*)'), rule."name") as "name", case when not one."isGlobal" then $3::text end as "key"
  from "JobLimit" rule left join "JobKey" own on own."name" = $2 and own."key" = $3
  cross join lateral (values
    (true, (select count(*) from held where rule."name" = any(held."limits")) >= coalesce(rule."setGlobal", rule."global")),
    (false, rule."name" = 'job:' || $2::text
      and (select count(*) from held where held."name" = $2 and held."key" = $3) >= ${mostOfKey('$3::text')})
  ) one("isGlobal", "isFull")
  where rule."name" = any($1::text[]) and one."isFull"
  order by rule."name" limit 1`

/** In the order of names, so that two transactions that lock several do not deadlock. */
export const LOCK_LIMITS_SQL = `
  select from "JobLimit" where "name" = any($1::text[]) order by "name" for update`

/**
 * Locks the limits of a job and counts, for a run by hand in this transaction: it counts as any, though no rate holds it back.
 * Returns the limits, or one that is full.
 */
export async function lockLimits(
  tx: Connection,
  name: string,
  key: string | null,
): Promise<string[] | FullLimit> {
  const read = async () => (await readRules(tx, [name]))[name]?.limits ?? []
  let limits = await read()
  let locked: string[]
  do {
    locked = limits
    await tx.query(LOCK_LIMITS_SQL, [locked])
    // Others may have changed them while it waited for the locks.
    limits = await read()
  } while (limits.join() !== locked.join())
  if (limits.length === 0) return limits
  const { rows } = await tx.query<FullLimit & { [column: string]: unknown }>(FULL_SQL, [
    limits,
    name,
    key,
  ])
  return rows[0] ?? limits
}

/**
 * Limits and keys that are exceeded although a claim was made since their numbers last changed. It must be empty: each claim counts
 * the runs under way.
 */
export const LIMIT_VIOLATION_SQL = `
  CREATE VIEW "JobLimitViolation" AS
  with held as materialized (
    select claim."place", claim."name", claim."limits", one."key"
    from "JobClaim" claim cross join lateral unnest(claim."runIds", claim."keys") as one("id", "key")
    where claim."limits" is not null and ${hasNotEnded('one."id"')}
  ), counted as (
    select rule."name", null::text as "key", coalesce(rule."setGlobal", rule."global") as "most", count(*)::int as "running",
           max(held."place") > max(rule."changedPlace") as "isSince"
    from "JobLimit" rule join held on rule."name" = any(held."limits") group by rule."name"
    union all
    select rule."name", held."key", ${mostOfKey('held."key"')}, count(*)::int, max(held."place") > max(rule."changedPlace")
    from "JobLimit" rule
      join held on held."limits" @> array[rule."name"] and rule."name" = 'job:' || held."name" and held."key" is not null
      left join "JobKey" own on own."name" = held."name" and own."key" = held."key"
    group by rule."name", held."key", own."perKey"
  )
  select "name", "key", "most", "running" from counted where "running" > "most" and "isSince";`

/** The row of JobThrottle of a limit: that of a job's own has the name of the job. */
export function throttleOf(limit: string): string {
  return `coalesce(substring(${limit} from '^job:(.*)'), 'limit ' || ${limit})`
}
