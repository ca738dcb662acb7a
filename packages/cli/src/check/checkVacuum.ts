import { getOldestSnapshot, type JobsReader } from '@roundsman/engine/client'
import {
  arePlacesBehind,
  describeConnections,
  describeUnvacuumed,
  findFewConnections,
  isSnapshotOld,
  listUnvacuumed,
  nameSnapshotHolder,
} from '@roundsman/engine/internal'
import type { Finding } from './finding.ts'

/** Reports what keeps old rows of the queue from being removed, such as a forgotten transaction, or autovacuum that is off; that few connections are left; and that the sequence of places is behind. */
export async function checkVacuum(reader: JobsReader, now: Date): Promise<Finding[]> {
  const unvacuumed = (await listUnvacuumed(reader)).map((one): Finding => ({
    severity: 'warning',
    code: one.isOff ? 'autovacuum_off' : 'dead_rows',
    job: null,
    ...describeUnvacuumed(one),
  }))
  return [
    ...unvacuumed,
    ...(await checkSnapshots(reader, now)),
    ...(await checkConnections(reader)),
    ...(await checkPlaces(reader)),
  ]
}

async function checkConnections(reader: JobsReader): Promise<Finding[]> {
  const few = await findFewConnections(reader)
  if (few === null) return []
  return [
    {
      severity: 'warning',
      code: 'few_connections',
      job: null,
      problem: describeConnections(few),
      remedy:
        'make pools smaller or put a pooler before the database, or raise max_connections and restart it',
    },
  ]
}

async function checkPlaces(reader: JobsReader): Promise<Finding[]> {
  if (!(await arePlacesBehind(reader))) return []
  return [
    {
      severity: 'error',
      code: 'places_behind',
      job: null,
      problem:
        'the sequence "JobPlace" is behind the places in use, as after logical replication: limits would be exceeded and work passed over',
      remedy: 'run npx roundsman migrate, or start the workers anew: both set it ahead',
    },
  ]
}

async function checkSnapshots(reader: JobsReader, now: Date): Promise<Finding[]> {
  const holder = await getOldestSnapshot(reader)
  if (holder === null || !isSnapshotOld(holder, now)) return []
  const since = holder.since === null ? '' : `, in a transaction open since ${holder.since}`
  const remedies = {
    session: `have it commit, or end it: select pg_terminate_backend(${holder.id})`,
    slot: 'see why its standby is behind, or drop the slot if nobody uses it',
    prepared: 'commit prepared it, or rollback prepared it',
  }
  return [
    {
      severity: 'warning',
      code: 'old_snapshot',
      job: null,
      problem: `${nameSnapshotHolder(holder)} keeps old rows from being removed${since}: the queue's tables grow, and each worker that starts reads past them`,
      remedy: remedies[holder.kind],
    },
  ]
}
