import { describe, expect, it } from 'vitest'
import type { Action } from '../../src/actions/action.ts'
import { actionRequest } from '../../src/actions/actionRequest.ts'
import { describeAction } from '../../src/actions/describeAction.ts'
import { parsePayload } from '../../src/actions/payload.ts'

const INPUT = { reason: 'because', payload: { a: 1 } }

describe('actionRequest', () => {
  it.each<[Action, ReturnType<typeof actionRequest>]>([
    [
      { kind: 'run', name: 'a b', dryRun: true },
      {
        method: 'POST',
        path: '/jobs/named/a%20b/run',
        body: { reason: 'because', dryRun: true, payload: { a: 1 } },
      },
    ],
    [
      { kind: 'pause', name: 'a' },
      { method: 'POST', path: '/jobs/named/a/pause', body: { reason: 'because' } },
    ],
    [
      { kind: 'resume', name: 'a' },
      { method: 'POST', path: '/jobs/named/a/resume', body: { reason: 'because' } },
    ],
    [
      { kind: 'cancel', name: 'a', runId: 'r' },
      { method: 'POST', path: '/jobs/runs/r/cancel', body: { reason: 'because' } },
    ],
    [
      { kind: 'approve', name: 'a', runId: 'r', due: 3 },
      { method: 'POST', path: '/jobs/runs/r/approve', body: { reason: 'because' } },
    ],
    [
      { kind: 'redrive', name: 'a', workId: 'q', label: null, losses: 1 },
      { method: 'POST', path: '/jobs/dead-letters/q/redrive', body: { reason: 'because' } },
    ],
    [
      { kind: 'discard', name: 'a', workId: 'q' },
      { method: 'DELETE', path: '/jobs/dead-letters/q', body: { reason: 'because' } },
    ],
    [
      { kind: 'pauseQueue', name: 'a b' },
      { method: 'POST', path: '/jobs/named/a%20b/queue/pause', body: { reason: 'because' } },
    ],
  ])('sends %j', (action, request) => {
    expect(actionRequest(action, INPUT)).toEqual(request)
  })

  it('sends no payload where the queue holds that of the run', () => {
    const action: Action = { kind: 'run', name: 'a', dryRun: false, runId: 'r' }
    expect(actionRequest(action, { reason: 'because', payload: null })).toEqual({
      method: 'POST',
      path: '/jobs/runs/r/run-again',
      body: { reason: 'because', dryRun: false },
    })
  })

  it('says nothing of a reason that was not given, where none has to be', () => {
    const actions: Action[] = [
      { kind: 'run', name: 'a', dryRun: false },
      { kind: 'pause', name: 'a' },
      { kind: 'resume', name: 'a' },
      { kind: 'cancel', name: 'a', runId: 'r' },
      { kind: 'approve', name: 'a', runId: 'r', due: 3 },
      { kind: 'redrive', name: 'a', workId: 'q', label: null, losses: 1 },
      { kind: 'discard', name: 'a', workId: 'q' },
      { kind: 'pauseQueue', name: 'a' },
      { kind: 'resumeQueue', name: 'a' },
    ]
    for (const action of actions) {
      const { body } = actionRequest(action, { ...INPUT, reason: '' })
      expect(describeAction(action).needsReason, action.kind).toBe('reason' in (body as object))
    }
  })
})

it('states the number at stake in an approval, on the button as well', () => {
  const words = describeAction({ kind: 'approve', name: 'a', runId: 'r', due: 84_120 })
  expect(words.title).toContain('84,120 rows')
  expect(words.explanation).toContain('84,120 rows')
  expect(words.confirm).toBe('Approve 84,120 rows')
})

describe('parsePayload', () => {
  it('takes an object, and nothing for an empty one', () => {
    expect(parsePayload(' ')).toEqual({ payload: {} })
    expect(parsePayload('{"a":1}')).toEqual({ payload: { a: 1 } })
  })

  it.each([['[1]'], ['null'], ['7'], ['{']])('refuses %s', (text) => {
    expect(parsePayload(text)).toHaveProperty('problem')
  })
})
