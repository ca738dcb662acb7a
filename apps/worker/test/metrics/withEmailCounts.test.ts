import { createMetrics } from '@roundsman/node-app/telemetry'
import { expect, it } from 'vitest'
import type { SendOutcome } from '../../src/email/createMailer.ts'
import { withEmailCounts } from '../../src/metrics/createWorkerMetrics.ts'

it('counts messages by the answer of the server, and hands on what it says', async () => {
  const metrics = createMetrics({ app: 'worker', version: '1' })
  const outcomes: SendOutcome[] = [
    { kind: 'sent' },
    { kind: 'sent' },
    { kind: 'refused', code: 'recipient_refused', smtpStatus: '550' },
  ]
  const answers = [...outcomes]
  let isClosed = false
  const mailer = withEmailCounts(
    { send: async () => answers.shift()!, close: () => void (isClosed = true) },
    metrics.registry,
  )
  const email = {} as Parameters<typeof mailer.send>[0]
  for (const outcome of outcomes) {
    expect(await mailer.send(email, new AbortController().signal)).toEqual(outcome)
  }
  const text = await metrics.render()
  expect(text).toContain('roundsman_emails_total{outcome="sent",app="worker"} 2')
  expect(text).toContain('roundsman_emails_total{outcome="refused",app="worker"} 1')
  mailer.close()
  expect(isClosed).toBe(true)
})
