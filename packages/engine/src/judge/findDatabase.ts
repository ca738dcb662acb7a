import { describeConnections, findFewConnections } from '../read/findFewConnections.ts'
import type { JobsReader } from '../read/reader.ts'
import type { Found } from './problem.ts'

/** An alert about used connections ends below this share. */
const MANY_OF_TOLD = 0.8

const DATABASE = { kind: 'database', jobs: [], since: null, isCut: false, reach: Infinity } as const

export const REFUSES_WRITES = 'The database refuses writes (read-only).'

/** Finds whether the database refuses writes. Other problems of this database then have the same cause. */
export async function findReadOnly(reader: JobsReader): Promise<Found[]> {
  // A read-only role or session does not matter for others.
  const [found] = await reader.rows<{ isReplica: boolean }>({
    text: `
      select pg_is_in_recovery() as "isReplica" where pg_is_in_recovery() or exists (
        select from pg_settings where name = 'default_transaction_read_only' and setting = 'on' and source not in ('user', 'database user', 'client', 'session')
      )`,
  })
  if (found === undefined) return []
  const note = found.isReplica
    ? 'It is a replica: after a fail-over, point DATABASE_URL at the new primary.'
    : 'default_transaction_read_only is on. Switch it off once the server may take writes.'
  return [
    {
      ...{ ...DATABASE, stage: 'stopped', text: REFUSES_WRITES, note, count: 1, share: 1 },
      isUnhealthy: true,
    },
  ]
}

export async function findUsedUp(reader: JobsReader, wasTold: boolean): Promise<Found[]> {
  const few = await findFewConnections(reader, wasTold ? MANY_OF_TOLD : undefined)
  if (few === null) return []
  const stage = few.used >= few.most ? 'stopped' : 'losing'
  const note = 'When none is left, PostgreSQL refuses workers and requests.'
  const share = few.used / few.most
  return [
    { ...DATABASE, stage, text: `${describeConnections(few)}.`, note, count: few.used, share },
  ]
}
