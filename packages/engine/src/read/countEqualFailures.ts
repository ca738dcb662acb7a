import { storableText } from '../job/storableText.ts'
import { equalsInOrder } from '../store/equalsInOrder.ts'
import type { JobsReader } from './reader.ts'

/** Runs of one job that failed in the same way, including the one in question. */
export interface EqualFailures {
  count: number
  /** When the first of them started, as ISO 8601 in UTC. */
  since: string
  /** Whether there may be more. */
  isCut: boolean
}

/** PostgreSQL adds it: a day beyond the year 9999, as JavaScript writes it, is none to PostgreSQL. */
const DAY = `interval '24 hours'`
const MAX_LOOKED_AT = 2_000

/** Of a longer message no more than this is compared. */
const MAX_MESSAGE_LENGTH = 2_000
/**
 * Counts how often a job failed with the same code in the day before and the day after a run; with the same message where
 * the code says nothing. It reads only the last failures of that time.
 */
export async function countEqualFailures(
  reader: JobsReader,
  run: { name: string; startedAt: string; code: string; message: string },
): Promise<EqualFailures | null> {
  const { name, startedAt, code, message } = run
  const [found] = await reader.rows<EqualFailures & { since: string | null }>({
    text: `
      select count(*) filter (where "isEqual")::int as "count", min("startedAt") filter (where "isEqual") as "since",
             count(*) = ${MAX_LOOKED_AT} as "isCut"
      from (
        select "startedAt", "errorCode" = $3 and ($3 <> 'handler_failed'
                 or left("details" #>> '{error,message}', ${MAX_MESSAGE_LENGTH}) = left($4, ${MAX_MESSAGE_LENGTH})) as "isEqual"
        from "JobRun"
        where ${equalsInOrder('"name"', '$1::text')} and "errorCode" is not null
          and "startedAt" >= $2::timestamptz - ${DAY} and "startedAt" < $2::timestamptz + ${DAY}
        order by "name", "startedAt" desc, "id" desc limit ${MAX_LOOKED_AT}
      ) failed`,
    values: [name, startedAt, code, storableText(message)],
  })
  return found && found.since !== null ? found : null
}
