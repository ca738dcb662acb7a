import type { Envelope } from './envelope.ts'

/** From so many losses on, work runs alone in its process, to tell who is to blame from who was only there. */
const LOSSES_BEFORE_ALONE = 2
/** Work that loses its worker so often while it runs alone is given up. */
const MAX_LOST_ALONE = 5
/** So often where the run that was lost had changed something, batch by batch: what gets on will end one day. */
const MAX_LOST_ALONE_IN_PROGRESS = 25
/** Before work may start that has lost two workers; four times as long at each further loss. */
const FIRST_BACK_OFF_S = 1
const MAX_BACK_OFF_S = 60

/** Whether this work may be what ends workers. */
export function isSuspect({ lost }: Envelope): boolean {
  return typeof lost === 'number' && lost >= LOSSES_BEFORE_ALONE
}

/** Envelopes may be written by others: what is no count is none. A cast would fail the rescue at each try. */
const readCount = (name: 'lost' | 'lostAlone') => `
  case when (job.data -> '${name}')::text ~ '^[0-9]{1,9}$' then (job.data ->> '${name}')::int else 0 end`

/** One more than any limit that others have set. */
const ONE_MORE = 'least(job.retry_limit, 2147483646) + 1'

/** For an update of `job`, whose attempt is under way: another one follows, and it costs none of the job's retries. */
export const COST_NO_RETRY = `retry_limit = ${ONE_MORE}`

/** The same, and counts that its worker was lost. */
export const COUNT_LOSS = `
  data = job.data || jsonb_build_object('lost', ${readCount('lost')} + 1),
  ${COST_NO_RETRY}`

const LOST_ALONE = `${readCount('lostAlone')} + 1`

/** The same where nothing else ran in its process. Too often, and it is not given out again. */
export const COUNT_LOSS_ALONE = `
  data = job.data || jsonb_build_object(
    'lost', ${readCount('lost')} + 1, 'lostAlone', ${LOST_ALONE}),
  retry_limit = case when ${LOST_ALONE} >= (
    select case when count(*) = 0 then ${MAX_LOST_ALONE} else ${MAX_LOST_ALONE_IN_PROGRESS} end
    from "JobRun" run
    where run."queueJobId" = job.id and run."attempt" = job.retry_count + 1 and run."batchMarks" is not null
  ) then job.retry_count else ${ONE_MORE} end`

/** For an update of `job` that is to be redelivered: at once after its first loss, ever later after each other one. */
export const BACK_OFF_AFTER_LOSS = `
  start_after = now() + interval '1 second' * case
    when ${readCount('lost')} < ${LOSSES_BEFORE_ALONE} then 0
    else least(${MAX_BACK_OFF_S}, ${FIRST_BACK_OFF_S} * power(4, least(${readCount('lost')}, 10) - ${LOSSES_BEFORE_ALONE}))
  end`
