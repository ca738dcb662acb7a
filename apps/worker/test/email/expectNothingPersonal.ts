import { dispatchEmail } from '@roundsman/jobs'
import { expect } from 'vitest'
import type { WorkerDatabase } from '../openWorkerDatabase.ts'
import type { InsertedEmail } from './insertEmails.ts'

/** Expects that logs, runs and the queue tell nothing of recipients or contents. */
export async function expectNothingPersonal(
  { prisma }: Pick<WorkerDatabase, 'prisma'>,
  emails: InsertedEmail[],
  lines: string[],
): Promise<void> {
  const queued = await prisma.$queryRaw`
    select to_jsonb(work) as "row" from "JobWork" work where "name" = ${dispatchEmail.name}
    union all select to_jsonb(letter) from "JobDeadLetter" letter where "name" = ${dispatchEmail.name}`
  const rows = await prisma.jobRun.findMany()
  expect(lines.length).toBeGreaterThan(0)
  expect(rows.length).toBeGreaterThan(0)
  const told = [...lines, JSON.stringify(rows), JSON.stringify(queued)].join('\n')
  for (const secret of emails.flatMap(({ secrets }) => secrets)) {
    expect(told).not.toContain(secret)
  }
}
