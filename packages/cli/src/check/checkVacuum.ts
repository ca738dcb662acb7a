import { getOldestSnapshot, type JobsReader } from '@roundsman/engine/client'
import {
  describeUnvacuumed,
  isSnapshotOld,
  listUnvacuumed,
  nameSnapshotHolder,
} from '@roundsman/engine/internal'
import type { Finding } from './finding.ts'

/** Reports what keeps old rows of the queue from being removed, such as a forgotten transaction, or autovacuum that is off. */
export async function checkVacuum(reader: JobsReader, now: Date): Promise<Finding[]> {
  const unvacuumed = (await listUnvacuumed(reader)).map((one): Finding => ({
    severity: 'warning',
    code: one.isOff ? 'autovacuum_off' : 'dead_rows',
    job: null,
    ...describeUnvacuumed(one),
  }))
  return [...unvacuumed, ...(await checkSnapshots(reader, now))]
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
