import { CARRIED, listColumns } from './carried.ts'

/*
 * What claims hold. A run is under way while its claim lists it and JobRun has no end of it.
 */

/** The columns of JobClaim that have an element for each run, except payloads, which are long; and what an element is. */
export const LISTS: readonly (readonly [list: string, name: string])[] = [
  ['runIds', 'runId'],
  ['workIds', 'workId'],
  ['dueAts', 'dueAt'],
  ...CARRIED.map(({ list, name }) => [list, name] as const),
]

/**
 * `claim` and `held` for each run of the claims in `from`, which selects from JobClaim as `claim`. A caller that needs payloads has them
 * unnested with the rest: PostgreSQL would compare each with each to join two lists.
 */
export const heldSql = (payloads = 'null::jsonb[]') => `
  claim cross join lateral unnest(${LISTS.map(([list]) => `claim."${list}"`).join(', ')}, ${payloads})
    as held(${listColumns(LISTS.map(([, name]) => name))}, "payload")`

/** The columns of `held`, with the value that a null stands for. Work by hand has no id. */
export const HELD_COLUMNS = `
  claim."id" as "claimId", claim."name", claim."workerId", claim."origin", claim."isAlone", claim."startedAt", claim."createdAt",
  held."runId", coalesce(held."workId", held."runId") as "workId", held."dueAt", held."payload",
  ${CARRIED.map(({ name, absent }) => `coalesce(held."${name}", ${absent}) as "${name}"`).join(', ')}`

/** `held` for the run `"at"` of a claim alone: a claim may have thousands. */
export const HELD_AT = `
  claim cross join lateral (
    select ${LISTS.map(([list, name]) => `claim."${list}"[claim."at"] as "${name}"`).join(', ')}, null::jsonb as "payload"
  ) held`

/** Where the work of a run has come from, as columns of JobRun. */
export const originOf = (facts: string) => ({
  parentId: `(${facts} ->> 'parent')::uuid`,
  enqueuedBy: `${facts} ->> 'enqueuedBy'`,
  traceId: `nullif(split_part(${facts} #>> '{trace,traceparent}', '-', 2), '')`,
})

/** The columns of JobRun that a run has from its start, by those of HELD_COLUMNS. */
export const RECORDED_AT_START = {
  id: '"runId"',
  name: '"name"',
  trigger: `coalesce("facts" ->> 'trigger', 'queue')::"JobTrigger"`,
  attempt: '"attempt"',
  scheduledFor: `("facts" ->> 'scheduledFor')::timestamptz`,
  startedAt: '"startedAt"',
  dryRun: `coalesce("facts" -> 'dryRun' = 'true', false)`,
  actor: `"facts" ->> 'actor'`,
  reason: `"facts" ->> 'reason'`,
  workId: `case when "origin" <> 'hand' then "workId" end`,
  workerId: '"workerId"',
  createdAt: '"createdAt"',
  label: '"label"',
  shown: `"facts" -> 'shown'`,
  dueAt: '"dueAt"',
  uniqueKey: '"uniqueKey"',
  key: `nullif("key", '')`,
  ...originOf('"facts"'),
}

/**
 * Of runs of one attempt the last. Hosts' clocks differ: a suspended run is followed by one that has started, maybe by an earlier clock.
 * `createdAt` is the database's.
 */
export const LATEST_RUN_FIRST = `run."status" = 'suspended', run."createdAt" desc`

/**
 * Whether the run `id` has not ended. Each is looked up by its id: for a `not exists` PostgreSQL may read all runs.
 */
export const hasNotEnded = (id: string) =>
  `coalesce((select run."status" = 'running' from "JobRun" run where run."id" = ${id}), true)`

/** Every run under way as `run`, whether JobRun has it already or not. */
export const RUNS_UNDER_WAY = `(
    select held."runId" as "id", claim."name", claim."startedAt", claim."workerId", claim."createdAt", claim."origin",
           coalesce(held."workId", held."runId") as "workId",
           coalesce(held."facts" -> 'dryRun' = 'true', false) as "dryRun", written."progress"
    from "JobClaim" claim
      cross join unnest(claim."runIds", claim."workIds", claim."facts") as held("runId", "workId", "facts")
      left join "JobRun" written on written."id" = held."runId"
    where written."status" is null or written."status" = 'running'
  ) run`
