// Processes: runs and kills workers.
import { sendWeeklyReport } from '@roundsman/jobs'
import { createJobsClient } from '@roundsman/engine/client'
import { openForTests, waitFor } from '@roundsman/testing'
import { pino } from 'pino'
import { expect, it } from 'vitest'
import { insertEmail } from '../email/insertEmails.ts'
import { holdRow } from '../holdRow.ts'
import { openWorkerDatabase } from '../openWorkerDatabase.ts'
import { startWorkerProcess } from '../startWorkerProcess.ts'

const database = openForTests(openWorkerDatabase)
const client = openForTests(async () => {
  const log = pino({ level: 'silent' })
  const opened = createJobsClient({ schema: 'public', databaseUrl: database.url, log })
  await opened.start()
  return { ...opened, close: opened.stop }
})

it('a SIGKILL before the commit leaves no report, and the next worker writes one', async () => {
  const { recipient: customerEmail } = await insertEmail(database.prisma)
  const first = await startWorkerProcess(database)
  const held = await holdRow(database.prisma, 'EmailMessage', `new."kind" = 'report'`, 'insert')
  await database.prisma.$transaction((tx) =>
    client.enqueue(tx, sendWeeklyReport, { customerEmail }),
  )
  await held.reached()

  await first.kill('SIGKILL')
  await held.release()
  await startWorkerProcess(database)
  const runs = await waitFor(async () => {
    const ended = await database.prisma.jobRun.findMany({
      where: { name: sendWeeklyReport.name, status: { not: 'running' } },
      orderBy: { attempt: 'asc' },
    })
    return ended.length === 2 && ended
  })

  expect(runs).toMatchObject([
    { status: 'failed', details: { error: { code: 'worker_lost' } } },
    { status: 'success', details: { reports: 1, invoices: 1 } },
  ])
  expect(await database.prisma.emailMessage.count({ where: { kind: 'report' } })).toBe(1)
})
