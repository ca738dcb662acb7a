import { jsonInstant } from '../read/bounded.ts'
import type { Connection, Database } from '../database/database.ts'
import {
  subjectKey,
  type AlertCause,
  type AlertKind,
  type AlertNotice,
  type AlertRow,
} from './alert.ts'
import type { Causes } from './findCauses.ts'

/*
 * Many watchers act as one because alerts and deliveries are rows. Of the watchers with the same jobs and limits, one takes a
 * round, reads what is wrong and writes what began and ended, in one transaction. Only the watcher that has counted a
 * delivery's attempt makes it.
 *
 * Watchers with other jobs or limits, of another program or version, have rounds of their own. A cause that several of them
 * find is one alert, and the alert goes on while one of them finds it.
 *
 * An alert (JobAlert), moved by the watcher that takes the round:
 *   begun    Its cause was seen, for less than the cause's `afterMs`. Raised after that; deleted if the cause goes first.
 *   raised   Channels are told that it began. It has ended once no round finds its cause.
 *   ended    Channels that took its beginning are told that it is over. Deleted after 30 days, with its deliveries.
 *
 * A delivery (JobAlertDelivery), one for each alert, event and channel:
 *   due      No row, or `dueAt` has come. A watcher with that channel takes it: it counts an attempt and sets `dueAt`.
 *   sending  That watcher alone sends. It is taken, due again later, or given up; due again if the watcher dies before `dueAt`.
 *   taken    The channel has it. Final.
 *   given up It failed for `giveUpAfterMs` (a day). Final, and the channel is not told of the alert's end.
 */

/**
 * No job can have this name. Its row in JobThrottle is locked while a watcher writes. The row of a watcher's own round has the
 * name of that round after it, and the instant of its last look.
 */
const ROUND = 'alert round'
/** A round without a look for so long, or for four intervals, has no watcher. */
const ROUND_TIMEOUT_MS = 60_000

/** The alerts that one round raised and ended, for the log. */
export interface AlertChanges {
  raised: AlertRow[]
  ended: AlertRow[]
}

export type FindCauses = (tx: Connection, open: readonly AlertRow[], now: Date) => Promise<Causes>

/**
 * Looks at what is wrong, or returns null when a watcher of the same round did so within `everyMs`. The row of the round is
 * locked meanwhile, so that no watcher decides by an older view. A look of the future counts for nothing: the database's
 * clock was set back. `names`: the jobs that this watcher knows.
 */
export async function lookOnce(
  database: Database,
  {
    round,
    everyMs,
    names,
    find,
  }: { round: string; everyMs: number; names: readonly string[]; find: FindCauses },
): Promise<AlertChanges | null> {
  const ownRound = `${ROUND} ${round}`
  return await database.transaction(async (tx) => {
    const { rows: taken } = await tx.query<{ now: Date }>(
      `insert into "JobThrottle" ("name", "freeAt") values ($1, now())
       on conflict ("name") do update set "freeAt" = excluded."freeAt"
         where "JobThrottle"."freeAt" not between now() - $2 * interval '1 millisecond' and now()
       returning now() as "now"`,
      [ownRound, everyMs],
    )
    const now = taken[0]?.now
    if (now === undefined) return null
    const { rows: open } = await tx.query<OpenRow>(LIST_OPEN_SQL)
    const { causes, others } = await find(tx, open, now)
    const causeOf = new Map(causes.map((cause) => [subjectKey(cause), cause]))
    const goesOn = open.filter((row) => causeOf.has(subjectKey(row)))
    // All that the queue holds was judged, except what workers of another version take.
    const isAnyAlive = !causes.some(({ kind, name }) => kind === 'noWorker' && name === '')
    const wasJudged = ({ kind, name }: AlertRow) =>
      OF_QUEUE.includes(kind) && (!others.includes(name) || (kind === 'noWorker' && isAnyAlive))
    const over = open.filter(
      (row) =>
        !causeOf.has(subjectKey(row)) &&
        // A job that this watcher does not know belongs to a watcher of another version, until none saw the alert for a day.
        (row.name === '' || names.includes(row.name) || wasJudged(row) || row.isForgotten),
    )
    await tx.query(LOCK_SQL)
    await insertBegun(
      tx,
      causes.filter(({ afterMs }) => afterMs !== null),
    )
    await tx.query(`update "JobAlert" set "seenAt" = now() where "id" = any($1::uuid[])`, [
      goesOn.map(({ id }) => id),
    ])
    const raised = await raiseDue(tx, causes)
    const { rows: unseen } = await tx.query<{ id: string }>(UNSEEN_SQL, [
      over.map(({ id }) => id),
      ownRound,
      Math.max(4 * everyMs, ROUND_TIMEOUT_MS),
    ])
    const { rows: ended } = await tx.query<AlertRow>(END_SQL, [unseen.map(({ id }) => id)])
    const { rows: forgotten } = await tx.query<{ id: string }>(FORGET_SQL)
    // Also those that another watcher has begun meanwhile.
    await tx.query(`delete from "JobAlertDelivery" where "alertId" = any($1::uuid[])`, [
      forgotten.map(({ id }) => id),
    ])
    return { raised, ended }
  })
}

const OF_QUEUE: readonly AlertKind[] = [
  'deadLetters',
  'noWorker',
  'backlog',
  'limitExceeded',
  'keyBlocked',
  'paused',
  'endedWorkers',
  'schedulesRefused',
  'inDoubt',
]

type OpenRow = AlertRow & { isForgotten: boolean }

/** Of a row of JobAlert as `alert`. */
const COLUMNS = `alert."id", alert."kind", alert."name", alert."code", alert."facts",
  ${jsonInstant('alert."startedAt"')} as "startedAt", ${jsonInstant('alert."endedAt"')} as "endedAt"`

const LIST_OPEN_SQL = `
  select ${COLUMNS}, "seenAt" < now() - interval '1 day' as "isForgotten"
  from "JobAlert" alert where "endedAt" is null`

/** Rows of `$1`, which are causes as JSON. */
const CAUSES = `json_to_recordset($1::text::json) as cause("kind" text, "name" text, "code" text, "facts" jsonb, "afterMs" float8)`

/** Inserts an alert for each cause that has none yet. A cause with an open alert meets the unique index. */
async function insertBegun(tx: Connection, causes: readonly AlertCause[]): Promise<void> {
  await tx.query(
    `insert into "JobAlert" ("id", "kind", "name", "code", "facts", "startedAt", "seenAt")
     select gen_random_uuid(), cause."kind", cause."name", cause."code", cause."facts", now(), now() from ${CAUSES}
     on conflict do nothing`,
    [JSON.stringify(causes)],
  )
}

/** Raises the alerts that have gone on for long enough, with the facts of this round. */
async function raiseDue(tx: Connection, causes: readonly AlertCause[]): Promise<AlertRow[]> {
  const { rows } = await tx.query<AlertRow>(
    `update "JobAlert" alert set "raisedAt" = now(), "facts" = cause."facts" from ${CAUSES}
     where alert."endedAt" is null and alert."raisedAt" is null
       and alert."kind" = cause."kind" and alert."name" = cause."name" and alert."code" = cause."code"
       -- To the millisecond, as the column is: rounded up, what begins now would be raised by the next look alone.
       and alert."startedAt" <= now()::timestamptz(3) - cause."afterMs" * interval '1 millisecond'
     returning ${COLUMNS}`,
    [JSON.stringify(causes)],
  )
  return rows
}

/** Watchers of two rounds that wrote at once could wait for each other. */
const LOCK_SQL = `
  insert into "JobThrottle" ("name", "freeAt") values ('${ROUND}', now())
  on conflict ("name") do update set "freeAt" = excluded."freeAt"`

/** Finds those of these open alerts that no other round has seen in its last look, or since. */
const UNSEEN_SQL = `
  select "id" from "JobAlert" alert where "id" = any($1::uuid[]) and "endedAt" is null and not exists (
    select from "JobThrottle" other
    where other."name" like '${ROUND} %' and other."name" <> $2
      and other."freeAt" > now() - $3 * interval '1 millisecond'
      and other."freeAt"::timestamptz(3) <= alert."seenAt"
  )`

/** Ends alerts. One that was never raised is deleted: nobody was told of it. */
const END_SQL = `
  with gone as (
    delete from "JobAlert" where "id" = any($1::uuid[]) and "raisedAt" is null
  )
  update "JobAlert" alert set "endedAt" = now() where "id" = any($1::uuid[]) and "raisedAt" is not null
  returning ${COLUMNS}`

const FORGET_SQL = `
  with rounds as (
    delete from "JobThrottle" where "name" like '${ROUND} %' and "freeAt" < now() - interval '1 day'
  )
  delete from "JobAlert" where "id" = any(array(
    select "id" from "JobAlert" where "endedAt" < now() - interval '30 days' order by "endedAt" limit 1000
  )) returning "id"`

/** A delivery that this watcher has to make. */
export interface TakenDelivery {
  alert: AlertRow
  event: AlertNotice['event']
  channel: string
  attempt: number
  /** Since the first attempt. */
  sinceMs: number
}

const MAX_TAKEN = 20

/**
 * Takes deliveries that are due on these channels. A channel is told of an alert's end only after it took the beginning.
 * A new channel is also told of alerts that ended within the last hour.
 */
export async function takeDeliveries(
  database: Database,
  channels: readonly string[],
  leaseMs: number,
): Promise<TakenDelivery[]> {
  const { rows } = await database.query<
    AlertRow & { event: AlertNotice['event']; channel: string; attempt: number; sinceMs: number }
  >(TAKE_SQL, [channels, leaseMs])
  return rows.map((row) => {
    const { event, channel, attempt, sinceMs, ...alert } = row
    return { alert, event, channel, attempt, sinceMs }
  })
}

/** Race: packages/engine/test/alerts/createAlertWatcher.test.ts "one leaves alone what another one begins to send at the same moment" */
const TAKE_SQL = `
  with due as (
    select alert."id", event.name as event, channel.name as channel
    from "JobAlert" alert
    cross join unnest($1::text[]) channel(name)
    cross join (values ('began'), ('ended')) event(name)
    left join "JobAlertDelivery" delivery
      on delivery."alertId" = alert."id" and delivery."event" = event.name and delivery."channel" = channel.name
    left join "JobAlertDelivery" beginning
      on beginning."alertId" = alert."id" and beginning."event" = 'began' and beginning."channel" = channel.name
    where alert."raisedAt" is not null
      and (delivery."alertId" is null or (delivery."endedAt" is null and delivery."dueAt" <= now()))
      and case event.name
        when 'began' then delivery."alertId" is not null
          or alert."endedAt" is null or alert."endedAt" > now() - interval '1 hour'
        else alert."endedAt" is not null and beginning."isTaken"
      end
    order by alert."startedAt" limit ${MAX_TAKEN}
  ), taken as (
    insert into "JobAlertDelivery" ("alertId", "event", "channel", "dueAt", "createdAt")
    select due."id", due.event, due.channel, now() + $2 * interval '1 millisecond', now() from due
    on conflict ("alertId", "event", "channel") do update
      set "attempts" = "JobAlertDelivery"."attempts" + 1, "dueAt" = excluded."dueAt"
      where "JobAlertDelivery"."endedAt" is null and "JobAlertDelivery"."dueAt" <= now()
    returning "alertId", "event", "channel", "attempts", "createdAt"
  )
  select ${COLUMNS}, taken."event", taken."channel", taken."attempts" as "attempt",
         greatest(0, extract(epoch from now() - taken."createdAt") * 1000)::float8 as "sinceMs"
  from taken join "JobAlert" alert on alert."id" = taken."alertId"
  order by alert."startedAt"`

/** How an attempt ended. A failed one is made again after `retryMs`. */
export type DeliveryOutcome =
  | { kind: 'taken' }
  | { kind: 'failed'; error: string; retryMs: number }
  | { kind: 'givenUp'; error: string }

/** Records how an attempt ended, unless another attempt was counted or the delivery ended meanwhile. */
export async function settleDelivery(
  database: Database,
  { alert, event, channel, attempt }: TakenDelivery,
  outcome: DeliveryOutcome,
): Promise<void> {
  await database.query(
    `update "JobAlertDelivery"
     set "endedAt" = case when $5::float8 is null then now() end,
         "dueAt" = now() + coalesce($5::float8, 0) * interval '1 millisecond',
         "isTaken" = $6::boolean, "error" = $7::text
     where "alertId" = $1::uuid and "event" = $2 and "channel" = $3 and "attempts" = $4::int and "endedAt" is null`,
    [
      alert.id,
      event,
      channel,
      attempt,
      outcome.kind === 'failed' ? outcome.retryMs : null,
      outcome.kind === 'taken',
      outcome.kind === 'taken' ? null : outcome.error,
    ],
  )
}
