import { demoImportCatalogue, demoJobs, demoOpenShop, demoShopApproved } from '@roundsman/jobs/demo'
import { sendWeeklyReport } from '@roundsman/jobs'

/** The beginning of the keys of the demo's customers. */
export const DEMO_KEY = 'demo-customer-'
export const OFFICE = 'office@example.com'
export const PAUSED_TENANT = 'tenant-initech'

const WORKER = `'demo-' || 1 + floor(random() * 2) || ':4711:5f0c2a91'`
const SCHEDULES = demoJobs.flatMap(({ name, schedule }) =>
  schedule === null ? [] : [`('${name}', '${schedule.cron}', '${schedule.timeZone}', now())`],
)

/**
 * Makes up a week of a small shop: what went well, and one of each thing that can go wrong. `now()` is the same instant in
 * all statements, and each finds the rows of those before it.
 */
export const DEMO_HISTORY: readonly string[] = [
  `insert into "JobSchedule" ("name", "cron", "timeZone", "cursor") values ${SCHEDULES.join(', ')}`,

  // No worker ran for three hours, two days ago; the feed's schedule was paused five days ago.
  `insert into "JobTick" ("name", "scheduledFor", "outcome", "reason", "workId", "workerId", "createdAt")
   select name, at, outcome::"TickOutcome", case outcome when 'skipped' then 'paused' end,
     case outcome when 'enqueued' then gen_random_uuid() end, ${WORKER},
     case when outcome in ('missed', 'coalesced') then now() - interval '45 h' else at end
   from (
     select 'demoImportFeed', generate_series(date_trunc('hour', now()) - interval '7 d', now(), '15 min')
     union all
     select 'demoArchiveOrders', generate_series(date_trunc('hour', now()) - interval '7 d' + interval '5 min', now(), '1 h')
     union all
     select 'demoNightlyReport', (day + time '2:30') at time zone 'Europe/Berlin'
     from generate_series(date_trunc('day', now() at time zone 'Europe/Berlin') - interval '7 d',
       now() at time zone 'Europe/Berlin', '1 d') day
     union all
     select 'demoRebuildSearch', (day + time '4:00') at time zone 'UTC'
     from generate_series(date_trunc('day', now() at time zone 'UTC') - interval '7 d', now() at time zone 'UTC', '1 d') day
   ) due (name, at) cross join lateral (
     select case
       when name = 'demoImportFeed' and at between now() - interval '120 h' and now() - interval '118 h' then 'skipped'
       when name = 'demoImportFeed' and at between now() - interval '48 h' and now() - interval '45 h 15 min' then 'coalesced'
       when name = 'demoArchiveOrders' and at between now() - interval '48 h' and now() - interval '45 h' then 'missed'
       else 'enqueued' end) decided (outcome)
   where at between now() - interval '7 d' and now()`,

  // A version could not read the feed, which is away now; a guard, a cancellation and a lost worker stopped others.
  `with job (name, ms, spread, counts, batches, total) as (values
     ('demoImportFeed', 1200, 3600, '{"imported": 140}'::jsonb, 4, null),
     ('demoArchiveOrders', 600, 2000, '{"archived": 300}', 3, null),
     ('demoNightlyReport', 4900, 4100, '{"reported": 12}', 12, 12),
     ('demoRebuildSearch', 660000, 300000, '{"indexed": 30000}', 60, 30000)
   ), failure (kind, failing, attempts, ms, details) as (values
     ('away', 3, 3, 400, '{"error": {"code": "ECONNREFUSED", "name": "TypeError", "message": "fetch failed",
       "stack": "at readFeed (apps/worker/src/jobs/demoHandlers.ts:76:11)",
       "cause": {"code": "ECONNREFUSED", "message": "connect ECONNREFUSED feed.example.com:443"}}}'::jsonb),
     ('changed', 3, 3, 600, '{"error": {"code": "handler_failed", "name": "TypeError",
       "message": "Cannot read properties of undefined (reading ''price'')",
       "stack": "at readProduct (src/feed/readProduct.ts:41:27)\\nat async importFeed (src/jobs/importFeed.ts:22:22)"}}'),
     ('blocked', 1, 1, 20, '{"guard": {"due": 12000, "allowed": 5000}, "error": {"code": "guard_blocked",
       "message": "12000 rows are due and at most 5000 may be changed"}}'),
     ('cancelled', 1, 1, 360000, '{"indexed": 11500, "error": {"code": "cancelled",
       "message": "Cancelled by admin@example.com"}}'),
     ('lost', 1, 2, 240000, '{"indexed": 8000, "error": {"code": "worker_lost",
       "message": "The worker that executed it is gone"}}')
   ), planned as (
     select tick.*, now() - "scheduledFor" as ago, random() as luck from "JobTick" tick where "outcome" = 'enqueued'
       and "name" like 'demo%'
   ), delivered as (
     select planned."scheduledFor", planned."workId", job.*, attempt, failure.details as failed, failure.kind,
       "createdAt" + luck * interval '900 ms' + (attempt - 1) * interval '25 s' as "startedAt",
       case when failure.details is not null then failure.ms
         when job.name = 'demoRebuildSearch' and ago < interval '1 d' then 3120000
         else job.ms + luck * job.spread end * interval '1 ms' as took
     from planned join job using (name)
     left join failure as plan on plan.kind = case
       when name = 'demoImportFeed' and ago < interval '70 min' then 'away'
       when name = 'demoImportFeed' and ago between interval '91 h' and interval '96 h' then 'changed'
       when name = 'demoArchiveOrders' and ago between interval '19 h' and interval '20 h' then 'blocked'
       when name = 'demoRebuildSearch' and ago between interval '3 d' and interval '4 d' then 'cancelled'
       when name = 'demoRebuildSearch' and ago between interval '5 d' and interval '6 d' then 'lost' end
     cross join generate_series(1, coalesce(plan.attempts, 1)) attempt
     left join failure on failure.kind = plan.kind and attempt <= plan.failing
   )
   insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "scheduledFor", "startedAt", "endedAt", "details",
     "workId", "workerId",
     "errorCode", "progress", "batchMarks", "logs", "cancelRequestedAt", "cancelRequestedBy", "createdAt")
   select case attempt when 1 then "workId" else gen_random_uuid() end, name,
     case when failed is null then 'success' else 'failed' end::"JobRunStatus", 'schedule', attempt, "scheduledFor",
       "startedAt", ended,
     coalesce(failed, counts || jsonb_build_object('batches', batches)), "workId", ${WORKER}, failed #>> '{error,code}',
     jsonb_build_object('done', coalesce((failed ->> 'indexed')::int, total), 'total', total), marks,
     case name when 'demoImportFeed' then jsonb_build_object('earlier', 0, 'lines', jsonb_build_array(jsonb_build_object(
       'at', round(extract(epoch from "startedAt") * 1000 + 300), 'level', case when failed is null then 'info'
         else 'warn' end,
       'message', case when failed is null then 'page read' else 'the feed could not be read' end, 'fields', 'page=1'))) end,
     case kind when 'cancelled' then ended end, case kind when 'cancelled' then 'admin@example.com' end, "startedAt"
   from delivered cross join lateral (select least("startedAt" + took, now())) finish (ended)
   cross join lateral (
     select jsonb_agg(jsonb_build_object('at', round(extract(epoch
       from "startedAt" + (ended - "startedAt") * batch / batches) * 1000), 'batches', batch,
       'counts', (select jsonb_object_agg(key, value::int * batch / batches) from jsonb_each_text(counts))))
     from generate_series(1, batches, greatest(1, batches / 12)) batch where failed is null) marked (marks)
   where "startedAt" < now()`,

  // More orders by day than by night. Some need a second attempt, and a few are given up.
  `with failure (kind, failing, attempts, ms, error) as (values
     ('once', 1, 2, 600, '{"code": "shop_unavailable", "message": "The shop answered with status 503"}'::jsonb),
     ('slow', 1, 2, 60000, '{"code": "timeout", "message": "The run took longer than 60 s"}'),
     ('away', 4, 4, 600, '{"code": "shop_unavailable", "message": "The shop answered with status 503"}'),
     ('invalid', 1, 1, 400, '{"code": "order_invalid", "message": "The shop refuses it: the order has no delivery address"}')
   ), work as materialized (
     select gen_random_uuid() as id, 104200 + n as "order", at, case
         when n in (2060, 2440, 2560, 2860, 3010, 3110) then 'away' when n in (2270, 2960, 3440) then 'invalid'
         when luck < 0.015 then 'slow' when luck < 0.06 then 'once' end as kind
     from generate_series(1, 3550) n
     cross join lateral (select now() - interval '7 d' + n * interval '170 s' as at, random() as luck) drawn
     where n in (2060, 2440, 2560, 2860, 3010, 3110, 2270, 2960, 3440)
       or (random() < 0.5 + 0.4 * sin((extract(hour from at) - 6) / 12 * pi()) and at not between now() - interval '48 h'
         and now() - interval '45 h')
   ), delivered as (
     select work.*, attempt, failure.error, at + interval '1 s' * (random() + 20 * (2 ^ (attempt - 1) - 1) + case plan.kind
       when 'slow' then 60 * (attempt - 1) else 0 end) as started,
       coalesce(failure.ms, 220 + random() * 900) * interval '1 ms' as took, attempt = plan.attempts
         and failure.error is not null as ends
     from work left join failure plan using (kind) cross join generate_series(1, coalesce(plan.attempts, 1)) attempt
     left join failure on failure.kind = plan.kind and attempt <= plan.failing
   ), runs as (
     insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "details", "workId",
       "workerId", "errorCode", "label", "shown", "logs", "createdAt")
     select case attempt when 1 then id else gen_random_uuid() end, 'demoSyncOrder', case when error is null then 'success'
       else 'failed' end::"JobRunStatus", 'queue',
       attempt, started, started + took, case when error is null then '{"synced": 1}' else jsonb_build_object('error',
         error) end, id, ${WORKER}, error ->> 'code',
       'Order ' || "order", jsonb_build_object('orderId', "order"), jsonb_build_object('earlier', 0, 'lines',
         jsonb_build_array(jsonb_build_object(
         'at', round(extract(epoch from started) * 1000 + 3), 'level', 'info', 'message', 'order is handed over', 'fields',
           'orderId=' || "order"))), started
     from delivered
   )
   insert into "JobDeadLetter" ("id", "name", "attempt", "failures", "bytes", "label", "enqueuedAt", "facts", "payload",
     "failedAt", "errorCode", "errorMessage")
   select id, 'demoSyncOrder', attempt, attempt, 18, 'Order ' || "order", at, jsonb_build_object('shown',
     jsonb_build_object('orderId', "order")),
     jsonb_build_object('orderId', "order"), started + took, error ->> 'code', error ->> 'message'
   from delivered where ends`,

  // 30 orders are ready, six are to begin later, and three wait for another attempt. A worker's first round gives them places.
  `with work as (
     select gen_random_uuid() as id, 107800 + n as "order", now() - n * interval '9 s' as at, n > 36 as "isRetry",
       case when n > 36 then now() + (n - 36) * interval '4 min' when n > 30 then now() + (n - 30) * interval '1 h' end as due
     from generate_series(1, 39) n
   ), runs as (
     insert into "JobRun" ("id", "name", "status", "trigger", "startedAt", "endedAt", "details", "workId", "workerId",
       "errorCode", "label")
     select id, 'demoSyncOrder', 'failed', 'queue', at + interval '1 s', at + interval '2 s',
       '{"error": {"code": "shop_unavailable", "message": "The shop answered with status 503"}}', id, ${WORKER},
         'shop_unavailable', 'Order ' || "order"
     from work where "isRetry"
   )
   insert into "JobWork" ("id", "name", "attempt", "failures", "bytes", "label", "enqueuedAt", "facts", "payload", "dueAt",
     "place")
   select id, 'demoSyncOrder', 1 + "isRetry"::int, "isRetry"::int, 18, 'Order ' || "order", at, jsonb_build_object('shown',
     jsonb_build_object('orderId', "order")),
     jsonb_build_object('orderId', "order"), coalesce(due, at), null
   from work`,

  `insert into "JobAction" ("at", "action", "name", "runId", "workId", "actor", "reason")
   values (now() - interval '120 h', 'pause', 'demoImportFeed', null::uuid, null::uuid, 'admin@example.com',
     'The feed is being moved'),
     (now() - interval '118 h', 'resume', 'demoImportFeed', null, null, 'admin@example.com', null),
     (now() - interval '26 min', 'setKey', '${demoImportCatalogue.name}', null, null, '${OFFICE}',
       '${PAUSED_TENANT}: paused until somebody resumes it, before: none; They move their shop')
   union all
   select "endedAt", 'cancel', "name", "id", "workId", 'admin@example.com', 'In the way of the deployment'
   from "JobRun" where "name" = 'demoRebuildSearch' and "errorCode" = 'cancelled'`,

  `insert into "JobKey" ("name", "key", "pausedUntil", "pausedBy", "pausedAt", "pauseReason", "reason", "setBy", "setAt")
   values ('${demoImportCatalogue.name}', '${PAUSED_TENANT}', 'infinity', '${OFFICE}', now() - interval '26 min',
     'They move their shop', 'They move their shop', '${OFFICE}', now() - interval '26 min')`,

  // Two of three runs were those of a tenant with very much.
  `insert into "JobRun" ("id", "name", "key", "label", "status", "trigger", "startedAt", "endedAt", "details", "workId",
    "workerId")
   select id, '${demoImportCatalogue.name}', tenant, 'Page ' || 1000 + n || ' of ' || tenant, 'success', 'queue', at,
     at + interval '5 s', '{"imported": 50}', id, ${WORKER}
   from generate_series(1, 90) n cross join lateral (
     select gen_random_uuid() as id, now() - n * interval '35 s' as at, case
       when n % 3 = 0 then 'tenant-' || lpad((n / 3)::text, 3, '0') else 'tenant-acme' end as tenant) made`,

  // A shop that has waited for its products and for the office, and is in the second week of its trial.
  `with shop as materialized (
     select gen_random_uuid() as id, now() - interval '10 d' as at
   ), passed as (
     select * from (values
       (1, 'register', 'run', interval '0', interval '740 ms', null, '{"customer": "c-14", "plan": "trial"}'::jsonb, null),
       (2, 'products', 'map', interval '750 ms', interval '38 s', null,
         '{"step": "products", "first": null, "failed": 0, "succeeded": 3, "result": null}', null),
       (3, 'domain', 'run', interval '38 s', interval '38430 ms', null, '{"domain": "lanterna-books.example.com"}', null),
       (4, 'approval', 'wait', interval '39 s', interval '26 h', interval '7 d', '{"plan": "large"}',
         '{"actor": "${OFFICE}", "reason": "They have signed"}'),
       (null, 'trial', 'sleep', interval '26 h 1 s', null, interval '15 d 2 h', null, null)
     ) step (seq, name, kind, "from", "to", until, result, answer)
   ), runs as (
     insert into "JobRun" ("id", "name", "status", "trigger", "attempt", "startedAt", "endedAt", "details", "workId", "workerId",
       "label", "shown")
     select case when name = 'products' then id else gen_random_uuid() end, '${demoOpenShop.name}', 'suspended', 'queue', 1,
       at + "from", at + "from" + interval '800 ms', '{}', id, ${WORKER}, 'Shop Lanterna Books', '{"shop": "Lanterna Books"}'
     from shop, passed where kind in ('map', 'wait', 'sleep')
     returning "id", "workId", "startedAt"
   ), steps as (
     insert into "JobStep" ("workId", "name", "item", "kind", "seq", "runId", "startedAt", "endedAt", "until", "result", "signal",
       "key", "answer")
     select shop.id, passed.name, '', kind, seq, coalesce((
         select run."id" from runs run where run."startedAt" <= at + passed."from" order by run."startedAt" desc limit 1
       ), shop.id), at + "from", at + "to", at + until,
       result, case kind when 'wait' then '${demoShopApproved.name}' end, case kind when 'wait' then 'Lanterna Books' end,
       answer::jsonb || jsonb_build_object('at', at + "to")
     from shop, passed
   ), children as (
     insert into "JobChild" ("parentId", "step", "item", "at", "workId", "job", "endedAt", "result")
     select id, 'products', '', n, gen_random_uuid(), '${demoImportCatalogue.name}', at + interval '12 s' * (n + 1), '{"imported": 50}'
     from shop cross join generate_series(0, 2) n
     returning "workId", "endedAt", "at"
   ), ended as (
     insert into "JobRun" ("id", "name", "key", "label", "status", "trigger", "startedAt", "endedAt", "details", "workId", "workerId")
     select "workId", '${demoImportCatalogue.name}', 'Lanterna Books', 'Page ' || "at" + 1 || ' of Lanterna Books', 'success', 'queue',
       "endedAt" - interval '5 s', "endedAt", '{"imported": 50}', "workId", ${WORKER}
     from children
   )
   insert into "JobWork" ("id", "name", "attempt", "failures", "bytes", "label", "enqueuedAt", "facts", "payload", "dueAt", "place",
     "resumptions")
   select id, '${demoOpenShop.name}', 1, 0, 26, 'Shop Lanterna Books', at, '{"shown": {"shop": "Lanterna Books"}}',
     '{"shop": "Lanterna Books"}', at + interval '15 d 2 h', null, 3
   from shop`,

  // The last tick of each customer's schedule: a weekday and a time in their zone.
  `with ticks as (
     insert into "JobTick" ("name", "key", "scheduledFor", "outcome", "reason", "workId", "version", "createdAt")
     select "name", "key", at, case when "pausedAt" is null then 'enqueued' else 'skipped' end::"TickOutcome", case
       when "pausedAt" is not null then 'paused' end,
       case when "pausedAt" is null then gen_random_uuid() end, 1, at
     from "JobSchedule" cross join lateral (select string_to_array("cron", ' ') as parts) split
     cross join generate_series(0, 8) days
     cross join lateral (select (now() at time zone "timeZone")::date - days as day) dated
     cross join lateral (select (day + make_time(parts[2]::int, parts[1]::int, 0)) at time zone "timeZone" as at) timed
     where "name" = '${sendWeeklyReport.name}' and "key" like '${DEMO_KEY}%' and extract(dow from day) = parts[5]::int
       and at > now() - interval '7 d' and at <= now()
     returning *
   )
   insert into "JobRun" ("id", "name", "status", "trigger", "scheduledFor", "startedAt", "endedAt", "details", "workId",
     "workerId", "createdAt")
   select "workId", "name", 'success', 'schedule', "scheduledFor", began, least(began + interval '80 ms', now()), '{}',
     "workId", ${WORKER}, began
   from ticks cross join lateral (select least("scheduledFor" + random() * interval '3 min', now())) as begun (began)
     where "workId" is not null`,
]
