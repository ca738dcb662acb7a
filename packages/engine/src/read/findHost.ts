import { equalsInOrder } from '../store/equalsInOrder.ts'
import { boundedText } from './bounded.ts'
import { NEUTRAL_CODES } from './failureRates.ts'
import type { JobsReader } from './reader.ts'

/** The one host on which all failed, and those on which as many ran and none did. */
export interface FailingHost {
  host: string
  others: string[]
}

const MAX_RUNS = 1_000
/** Fewer may be there by chance. */
const MIN_RUNS = 3

/** Looks through the runs of a failing job that started since an instant; null where failures, or none, are on several hosts. */
export async function findFailingHost(
  reader: JobsReader,
  name: string,
  from: Date,
): Promise<FailingHost | null> {
  const hosts = await reader.rows<{ host: string; runs: number; failed: number }>({
    text: `
      select ${boundedText('"host"')} as "host", count(*)::int as "runs", count("errorCode")::int as "failed" from (
        select split_part("workerId", ':', 1) as "host", "errorCode" from "JobRun"
        where ${equalsInOrder('"name"', '$1::text')} and "startedAt" >= $2::timestamptz and "status" <> 'running' and not "dryRun"
          and ("errorCode" is null or "errorCode" <> all($3::text[]))
        order by "name", "startedAt" desc, "id" desc limit ${MAX_RUNS}
      ) run group by 1 order by 2 desc, 1 limit 100`,
    values: [name, from.toISOString(), NEUTRAL_CODES],
  })
  const [first, ...more] = hosts.filter(({ failed }) => failed > 0)
  const others = hosts.filter(({ runs, failed }) => failed === 0 && runs >= MIN_RUNS)
  if (first === undefined || more.length > 0 || first.failed < MIN_RUNS || others.length === 0)
    return null
  return { host: first.host, others: others.slice(0, 3).map(({ host }) => host) }
}
