import { boundedText, Prisma, type JobAction, type JobRun, type PrismaClient } from '@roundsman/db'
import { z } from 'zod'

const MAX_ACTIONS = 100

export const actionSchema = z.object({
  at: z.iso.datetime(),
  action: z.string().describe('run, dryRun, pause, resume, cancel, approve, redrive or discard'),
  actor: z.string(),
  reason: z.string().nullable(),
})

type ActionRow = Pick<JobAction, 'at' | 'action' | 'actor' | 'reason'>

const COLUMNS = Prisma.sql`"at", ${boundedText('"action"')} as "action", ${boundedText('"actor"')} as "actor",
  ${boundedText('"reason"')} as "reason"`

/** What people did about a run, or about the work that it was an attempt at, in its order. */
export async function readRunActions(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  { id, queueJobId }: Pick<JobRun, 'id' | 'queueJobId'>,
) {
  const actions = await prisma.$queryRaw<ActionRow[]>`
    select ${COLUMNS} from "JobAction" where "runId" = ${id}::uuid or "queueJobId" = ${queueJobId}::uuid
    order by "at" limit ${MAX_ACTIONS}`
  return actions.map(present)
}

/** What people did about a job, the latest first. */
export async function readJobActions(
  prisma: Pick<PrismaClient, '$queryRaw'>,
  name: string,
  limit: number,
) {
  const actions = await prisma.$queryRaw<ActionRow[]>`
    select ${COLUMNS} from "JobAction" where "name" = ${name} order by "at" desc limit ${limit}`
  return actions.map(present)
}

function present({ at, action, actor, reason }: ActionRow) {
  return { at: at.toISOString(), action, actor, reason }
}
