// Processes: runs and kills workers.
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { localhostCertificate, waitFor } from '@roundsman/testing'
import { expect, it, onTestFinished } from 'vitest'
import { insertEmail } from '../email/insertEmails.ts'
import { openServer, useEmailQueue } from '../email/useEmailQueue.ts'
import { holdRow } from '../holdRow.ts'
import { startWorkerProcess } from '../startWorkerProcess.ts'

const { database, enqueueEmails, runs } = useEmailQueue()

const runEnds = (count: number) =>
  waitFor(async () => (await runs()).filter(({ status }) => status !== 'running').length >= count)

const allAreSent = async () =>
  (await database.prisma.emailMessage.count({ where: { status: { not: 'sent' } } })) === 0

it('a SIGKILL between the OK and the commit costs one duplicate at most, with the same Message-ID', async () => {
  const server = await openServer()
  const email = await insertEmail(database.prisma)
  const mailed = { SMTP_URL: server.url }
  const first = await startWorkerProcess(database, mailed)
  const held = await holdRow(database.prisma, 'EmailMessage', 'true')
  await enqueueEmails([email])
  await held.reached()
  expect(server.messages).toMatchObject([{ isAcknowledged: true }])

  await first.kill('SIGKILL')
  await held.release()
  await startWorkerProcess(database, mailed)
  await waitFor(allAreSent)

  expect(server.messages.map(({ mail }) => mail.messageId)).toEqual([
    email.messageId,
    email.messageId,
  ])
  await runEnds(2)
  expect(await runs()).toMatchObject([
    { status: 'failed', details: { error: { code: 'worker_lost' } } },
    { status: 'success', details: { sent: 1 } },
  ])
})

it.each(['implicit', 'starttls'] as const)(
  'a worker logs in over TLS, %s, to a server whose certificate somebody vouches for',
  async (tls) => {
    const folder = await mkdtemp(join(tmpdir(), 'roundsman-mail-'))
    onTestFinished(() => rm(folder, { recursive: true }))
    const authority = join(folder, 'authority.pem')
    await writeFile(authority, localhostCertificate.cert)
    const server = await openServer({ tls, auth: { user: 'worker', pass: 'p@ss:wörd' } })
    const email = await insertEmail(database.prisma)
    const worker = await startWorkerProcess(database, {
      SMTP_URL: server.url.replace('//', '//worker:p%40ss%3Aw%C3%B6rd@'),
      MAIL_FROM: 'Größe & Co <billing@example.com>',
      NODE_EXTRA_CA_CERTS: authority,
    })
    await enqueueEmails([email])

    await waitFor(allAreSent)

    expect(server.messages).toMatchObject([
      { sender: 'billing@example.com', mail: { from: { value: [{ name: 'Größe & Co' }] } } },
    ])
    const lines = [...worker.stdout, ...worker.stderr]
    expect(lines.join('\n')).not.toMatch(/p%40ss|p@ss/)
  },
)
