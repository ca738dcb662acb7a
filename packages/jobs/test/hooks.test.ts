import { payloadProblem } from '@roundsman/engine/internal'
import type { EnqueueOptions, Job } from '@roundsman/engine'
import { describe, expect, it } from 'vitest'
import { emit, type DomainEvents } from '../src/hooks.ts'
import { dispatchEmail } from '../src/index.ts'

/** The work that an event enqueued, and in which transaction. */
async function workAfter<Name extends keyof DomainEvents>(name: Name, event: DomainEvents[Name]) {
  const work: { tx: string; job: string; payload: unknown; options: EnqueueOptions }[] = []
  await emit(
    'the transaction',
    async (tx: string, job: Job, payload: unknown, options: EnqueueOptions = {}) => {
      // A hook can only enqueue what its job takes.
      expect(payloadProblem(job, payload)).toBeNull()
      work.push({ tx, job: job.name, payload, options })
      return { kind: 'enqueued', workId: '' }
    },
    name,
    event,
  )
  return work
}

const ID = '01a20e26-367c-766a-a085-72e882269712'
const OTHER = '01a20e26-367c-766a-a085-72e882269713'

describe('emit', () => {
  it('sends the messages that have waited for a PDF, each once, in the same transaction', async () => {
    const event = { invoiceId: ID, version: 1, emailIds: [ID, OTHER] }

    expect(await workAfter('invoicePdfReady', event)).toEqual(
      [ID, OTHER].map((emailId) => ({
        tx: 'the transaction',
        job: dispatchEmail.name,
        payload: { emailId },
        options: { uniqueKey: emailId, enqueuedBy: 'hook invoicePdfReady' },
      })),
    )
  })

  it('does nothing where nothing follows', async () => {
    expect(await workAfter('invoicePdfReady', { invoiceId: ID, version: 1, emailIds: [] })).toEqual(
      [],
    )
    expect(await workAfter('invoiceIssued', { invoiceId: ID, version: 1 })).toEqual([])
    expect(await workAfter('previewCreated', { previewSessionId: ID })).toEqual([])
  })
})
