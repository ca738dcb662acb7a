import type { Envelope } from './envelope.ts'

/** After so many losses, work runs alone in its process, which shows whether it is to blame or was only there. */
const LOSSES_BEFORE_ALONE = 2
/** The queue gives work up that has lost its worker so often while it ran alone. */
const MAX_LOST_ALONE = 5
/** The limit when the lost run had committed batches that changed something: work that makes progress ends one day. */
const MAX_LOST_ALONE_IN_PROGRESS = 25
/** The pause before work starts again that has lost two workers; it quadruples with each further loss. */
const FIRST_BACK_OFF_S = 1
export const MAX_BACK_OFF_S = 60

/** Whether this work may be what kills workers. */
export function isSuspect({ lost }: Envelope): boolean {
  return typeof lost === 'number' && lost >= LOSSES_BEFORE_ALONE
}

/** Reads a count; 0 when it is none. Anybody may have written the envelope, and a failing cast would fail every rescue. */
export const readCount = (name: 'lost' | 'lostAlone' | 'attemptsBefore') => `
  case when (job.data -> '${name}')::text ~ '^[0-9]{1,9}$' then (job.data ->> '${name}')::int else 0 end`

/** One more than the limit, whoever set it, without an overflow. */
const ONE_MORE = 'least(job.retry_limit, 2147483646) + 1'

/** Assignments for an active `job`: another attempt follows, and this one costs none of the job's retries. */
export const COST_NO_RETRY = `retry_limit = ${ONE_MORE}`

/** Does the same, and counts the loss of its worker. */
export const COUNT_LOSS = `
  data = job.data || jsonb_build_object('lost', ${readCount('lost')} + 1),
  ${COST_NO_RETRY}`

const LOST_ALONE = `${readCount('lostAlone')} + 1`

/** Does the same for work that ran alone in its process. After too many such losses no attempt follows. */
export const COUNT_LOSS_ALONE = `
  data = job.data || jsonb_build_object(
    'lost', ${readCount('lost')} + 1, 'lostAlone', ${LOST_ALONE}),
  retry_limit = case when ${LOST_ALONE} >= (
    select case when count(*) = 0 then ${MAX_LOST_ALONE} else ${MAX_LOST_ALONE_IN_PROGRESS} end
    from "JobRun" run
    where run."workId" = job.id and run."attempt" = job.retry_count + 1 and run."batchMarks" is not null
  ) then job.retry_count else ${ONE_MORE} end`

/** An assignment for a `job` that is to be redelivered: at once after its first loss, ever later after each further one. */
export const BACK_OFF_AFTER_LOSS = `
  start_after = now() + interval '1 second' * case
    when ${readCount('lost')} < ${LOSSES_BEFORE_ALONE} then 0
    else least(${MAX_BACK_OFF_S}, ${FIRST_BACK_OFF_S} * power(4, least(${readCount('lost')}, 10) - ${LOSSES_BEFORE_ALONE}))
  end`
