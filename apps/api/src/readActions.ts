import type { JobAction, JobRun, PrismaClient } from '@roundsman/db'
import { z } from 'zod'

const MAX_ACTIONS = 100

export const actionSchema = z.object({
  at: z.iso.datetime(),
  action: z.string().describe('run, dryRun, pause, resume, cancel, approve, redrive or discard'),
  actor: z.string(),
  reason: z.string().nullable(),
})

/** What people did about a run, or about the work that it was an attempt at, in its order. */
export async function readRunActions(
  prisma: Pick<PrismaClient, 'jobAction'>,
  { id, queueJobId }: Pick<JobRun, 'id' | 'queueJobId'>,
) {
  const actions = await prisma.jobAction.findMany({
    where: { OR: [{ runId: id }, ...(queueJobId === null ? [] : [{ queueJobId }])] },
    orderBy: { at: 'asc' },
    take: MAX_ACTIONS,
  })
  return actions.map(present)
}

/** What people did about a job, the latest first. */
export async function readJobActions(
  prisma: Pick<PrismaClient, 'jobAction'>,
  name: string,
  limit: number,
) {
  const where = { name }
  const actions = await prisma.jobAction.findMany({ where, orderBy: { at: 'desc' }, take: limit })
  return actions.map(present)
}

function present({ at, action, actor, reason }: JobAction) {
  return { at: at.toISOString(), action, actor, reason }
}
