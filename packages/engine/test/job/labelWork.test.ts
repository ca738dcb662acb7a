import { hostileValue, makeHostile } from '@roundsman/testing/hostileValues'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineJob, type Job } from '../../src/index.ts'
import { labelPayload, labelWork } from '../../src/job/labelWork.ts'
import { storable } from '../../src/values/storable.ts'

const order = z.object({ orderId: z.string(), lines: z.array(z.number()).default([]) })
const job = defineJob({
  name: 'order',
  payload: order,
  label: ({ orderId }) => `Order ${orderId}`,
  show: ['orderId', 'lines'],
})

function openLog() {
  const lines: unknown[][] = []
  return { lines, warn: (...line: unknown[]) => void lines.push(line) }
}

const labelled = (label: (payload: never) => unknown, show: string[] = []): Job =>
  ({ ...job, label, show }) as unknown as Job

describe('what people see of a piece of work', () => {
  it('is what its job says of what the schema has made of the payload', () => {
    const log = openLog()
    expect(labelPayload(job, { orderId: '4711' }, log)).toEqual({
      label: 'Order 4711',
      shown: { orderId: '4711', lines: '[]' },
    })
    expect(log.lines).toEqual([])
  })

  it('is nothing where the job says nothing, and nothing of what its schema refuses', () => {
    const silent = defineJob({ name: 'silent', payload: order })
    expect(labelWork(silent, { orderId: 'a' }, openLog())).toEqual({})
    expect(labelPayload(job, { orderId: 1 }, openLog())).toEqual({})
  })

  it('is nothing where its schema itself fails', () => {
    const fails = order.refine(() => {
      throw new Error('the schema is broken')
    })
    expect(labelPayload({ ...job, payload: fails }, { orderId: 'a' }, openLog())).toEqual({})
  })

  it('shows no more of a part than is worth to be looked at', () => {
    const parts = ['text', 'list', 'long']
    const { shown } = labelWork(
      labelled(() => 'x', parts),
      { text: 'a'.repeat(1_000), list: Array(5_000).fill(1), long: Array(200).fill(1) },
      openLog(),
    )
    expect(shown).toEqual({
      text: `${'a'.repeat(200)}…`,
      list: '[too large]',
      long: expect.stringMatching(/^\[(1,){99}1…$/),
    })
  })

  it('stands on one line of at most 200 characters', () => {
    const { label } = labelWork(
      labelled(() => ` a\n\t${'b'.repeat(1_000)}`),
      {},
      openLog(),
    )
    expect(label).toMatch(/^a b{197}…$/)
    // Text after so much white space is not looked at.
    expect(
      labelWork(
        labelled(() => `a${' '.repeat(1_000)}b`),
        {},
        openLog(),
      ),
    ).toEqual({ label: 'a' })
    expect(
      labelWork(
        labelled(() => ' \n '),
        {},
        openLog(),
      ),
    ).toEqual({})
  })

  it('has no label where that fails, and the log says why, masked', () => {
    const log = openLog()
    const fails = labelled((payload) => {
      throw new Error(`no such customer: ${(payload as { mail: string }).mail}`)
    })
    expect(labelWork(fails, { mail: 'anna@example.com' }, log)).toEqual({})
    expect(log.lines).toEqual([
      [
        { name: 'order', problem: 'Error: no such customer: [redacted]' },
        'the label function of a job failed: its work has no label',
      ],
    ])
  })

  it('is bounded and can be stored, whatever a payload holds and a label function answers', () => {
    fc.assert(
      fc.property(hostileValue(), hostileValue(), (said, payload) => {
        const log = openLog()
        const foreign = labelled(() => makeHostile(said), ['a', 'b', 'constructor', 'length'])
        const { label, shown } = labelWork(foreign, makeHostile(payload), log)
        expect(label === undefined || (label.length > 0 && label.length <= 200)).toBe(true)
        const answer = { label: label ?? null, shown: shown ?? null }
        expect(storable(answer, 16_384)).toMatchObject({ kind: 'stored', value: answer })
        // A missing label was logged once.
        expect(log.lines.length).toBeLessThanOrEqual(label === undefined ? 1 : 0)
      }),
      { numRuns: 200 },
    )
  })

  it('leaves no rejection behind where a label function is asynchronous', async () => {
    const log = openLog()
    expect(
      labelWork(
        labelled(() => Promise.reject(new Error('late'))),
        {},
        log,
      ),
    ).toEqual({})
    await new Promise((resolve) => setImmediate(resolve))
    expect(log.lines).toHaveLength(1)
  })
})

describe('a job whose label is of another kind', () => {
  it.each([
    ['label', { label: 'Order' }],
    ['show', { show: 'orderId' }],
    ['show', { show: [1] }],
    ['show', { show: ['__proto__'] }],
    ['show', { show: Array.from({ length: 21 }, (_, n) => `part${n}`) }],
    ['result', { result: {} }],
  ])('is refused, by its %s', (option, options) => {
    expect(() => defineJob({ name: 'odd', ...(options as object) })).toThrow(
      `Job "odd": ${option} must be`,
    )
  })
})
