import type { RunDetail } from '@roundsman/admin/contract'
import { describe, expect, it } from 'vitest'
import { startOf } from '../../src/api/run.ts'
import { allAttempts, describeAttempt, waitOf } from '../../src/screens/run/Attempts.tsx'
import { latenessMs, runTimeline } from '../../src/screens/run/runTimeline.ts'

const RUN: RunDetail = {
  id: 'a',
  name: 'cleanupI18nCache',
  label: null,
  status: 'success',
  outcome: 'success',
  trigger: 'schedule',
  attempt: 1,
  scheduledFor: '2026-11-24T03:00:00.000Z',
  startedAt: '2026-11-24T03:00:00.240Z',
  endedAt: '2026-11-24T03:00:20.240Z',
  durationMs: 20_000,
  details: { cleaned: 40_000, batches: 4 },
  dryRun: false,
  actor: null,
  reason: null,
  workId: null,
  workerId: 'w',
  version: null,
  progress: null,
  cancelRequestedAt: null,
  cancelRequestedBy: null,
  approvedAt: null,
  approvedBy: null,
  createdAt: '2026-11-24T03:00:00.240Z',
  attempts: [],
  key: null,
  uniqueKey: null,
  enqueuedBy: null,
  traceId: null,
  waits: [],
  timeZone: null,
  links: { parent: null, again: null, children: [], areChildrenCut: false, sameLabel: [] },
  enqueuedAt: null,
  batchMarks: [],
  actions: [],
  shown: null,
  dueAt: null,
  errorCode: null,
  logs: null,
  equalFailures: null,
  lastSuccess: null,
  work: { holdsPayload: false, isDeadLetter: false, nextAt: null, losses: null },
}

function steps(run: RunDetail) {
  return runTimeline(run).map(({ key, note, state }) => ({ key, note, state }))
}

describe('runTimeline', () => {
  it('goes from when it was due to its end', () => {
    expect(steps(RUN)).toEqual([
      { key: 'due', note: null, state: 'done' },
      { key: 'started', note: '240 ms after it was due', state: 'done' },
      { key: 'batches', note: '5 s each on average', state: 'done' },
      { key: 'ended', note: 'after 20 s', state: 'done' },
    ])
  })

  it('says that the clock of its worker was ahead, and no lateness that is not', () => {
    const run = {
      ...RUN,
      scheduledFor: null,
      enqueuedAt: '2026-11-24T03:00:00.060Z',
      startedAt: '2026-11-24T03:37:00.240Z',
      endedAt: '2026-11-24T03:37:20.240Z',
    }
    expect(steps(run)[1]).toEqual({
      key: 'started',
      note: '180 ms in the queue; its worker’s clock was 37 min ahead',
      state: 'done',
    })
    expect(latenessMs(run)).toBe(180)
    expect(startOf(run)).toBe(run.createdAt)
    expect(startOf(RUN)).toBe(RUN.startedAt)
  })

  it('tells how long it was in the queue where that is known', () => {
    const run = { ...RUN, enqueuedAt: '2026-11-24T03:00:00.060Z' }
    expect(steps(run).slice(0, 3)).toEqual([
      { key: 'due', note: null, state: 'done' },
      { key: 'enqueued', note: '60 ms after it was due', state: 'done' },
      { key: 'started', note: '180 ms in the queue', state: 'done' },
    ])
  })

  it('counts the wait of another attempt from when that was due', () => {
    const run: RunDetail = {
      ...RUN,
      scheduledFor: null,
      attempt: 2,
      enqueuedAt: '2026-11-24T02:59:00.000Z',
      dueAt: '2026-11-24T03:00:00.000Z',
      attempts: [
        {
          id: 'b',
          attempt: 1,
          status: 'failed',
          outcome: 'failed',
          startedAt: '2026-11-24T02:59:00.000Z',
          endedAt: '2026-11-24T02:59:50.000Z',
          dueAt: null,
          errorCode: 'no_luck',
        },
      ],
    }
    expect(steps(run).slice(0, 3)).toEqual([
      { key: 'enqueued', note: null, state: 'done' },
      { key: 'dueAgain', note: '10 s after attempt 1', state: 'done' },
      { key: 'started', note: '240 ms after it was due', state: 'done' },
    ])
    expect(latenessMs(run)).toBe(240)
    expect(latenessMs({ ...run, dueAt: null })).toBeNull()
    expect(allAttempts(run).map(({ id }) => id)).toEqual(['b', 'a'])
    const [first, second] = allAttempts(run)
    expect(waitOf(second!, first)).toBe('due 10 s after attempt 1, started 240 ms after it was due')
    expect(waitOf({ ...second!, dueAt: null }, first)).toBe('10 s after attempt 1')
    expect(waitOf(first!, undefined)).toBeNull()
  })

  it('has its batches where the last of them was', () => {
    const run = {
      ...RUN,
      cancelRequestedAt: '2026-11-24T03:00:10.000Z',
      batchMarks: [{ at: '2026-11-24T03:00:18.000Z', batches: 4, counts: { cleaned: 40_000 } }],
    }
    expect(runTimeline(run).map(({ key }) => key)).toEqual([
      'due',
      'started',
      'cancel',
      'batches',
      'ended',
    ])
  })

  it('has its end ahead while it runs', () => {
    const run = { ...RUN, status: 'running' as const, endedAt: null, durationMs: null }
    expect(steps(run).slice(2)).toEqual([
      { key: 'batches', note: null, state: 'now' },
      { key: 'ended', note: null, state: 'ahead' },
    ])
  })

  it('shows when it was asked to stop before it ended, and when it was approved after', () => {
    const run: RunDetail = {
      ...RUN,
      status: 'failed',
      details: { error: { code: 'cancelled', message: '' } },
      cancelRequestedAt: '2026-11-24T03:00:10.000Z',
      cancelRequestedBy: 'admin@example.com',
      approvedAt: '2026-11-24T04:00:00.000Z',
    }
    expect(steps(run).slice(2)).toEqual([
      { key: 'cancel', note: 'by admin@example.com', state: 'done' },
      { key: 'ended', note: 'after 20 s, cancelled', state: 'failed' },
      { key: 'approved', note: null, state: 'done' },
    ])
  })

  it('calls the end by what became of the run', () => {
    const ended = (outcome: RunDetail['outcome']) =>
      runTimeline({ ...RUN, status: 'failed', outcome }).at(-1)?.label
    expect(ended('blocked')).toBe('Blocked')
    expect(ended('failed')).toBe('Failed')
  })
})

describe('who did something to a run', () => {
  const cancelled: RunDetail = {
    ...RUN,
    reason: 'For a walk',
    cancelRequestedAt: '2026-11-24T03:00:10.000Z',
    cancelRequestedBy: 'admin@example.com',
    approvedAt: '2026-11-24T04:00:00.000Z',
    approvedBy: 'owner@example.com',
  }
  const note = (run: RunDetail, key: string) =>
    runTimeline(run).find((step) => step.key === key)?.note

  it('stands there with the reason, which is not that of the run', () => {
    const run = {
      ...cancelled,
      actions: [
        { at: '', action: 'run', actor: 'admin@example.com', reason: 'For a walk', count: 1 },
        { at: '', action: 'cancel', actor: 'admin@example.com', reason: 'It rains', count: 1 },
        {
          at: '',
          action: 'approve',
          actor: 'owner@example.com',
          reason: 'Counted by hand',
          count: 1,
        },
      ],
    }
    expect(note(run, 'cancel')).toBe('by admin@example.com: It rains')
    expect(note(run, 'approved')).toBe('by owner@example.com: Counted by hand')
  })

  it('stands there alone where no reason was kept', () => {
    expect(note(cancelled, 'cancel')).toBe('by admin@example.com')
  })
})

describe('latenessMs', () => {
  it('counts from when it was due, else from when it was enqueued', () => {
    expect(latenessMs(RUN)).toBe(240)
    const asked = {
      scheduledFor: null,
      startedAt: RUN.startedAt,
      createdAt: RUN.createdAt,
      dueAt: null,
      attempt: 1,
    }
    expect(latenessMs({ ...asked, enqueuedAt: '2026-11-24T03:00:00.000Z' })).toBe(240)
    expect(latenessMs({ ...asked, enqueuedAt: null })).toBeNull()
  })
})

it('says of an attempt whose worker died when that was noticed, and not how long it took', () => {
  const [attempt] = allAttempts({
    ...RUN,
    outcome: 'lost',
    status: 'failed',
    errorCode: 'worker_lost',
  })
  expect(describeAttempt(attempt!, undefined)).toBe('worker_lost · noticed after 20 s')
  expect(describeAttempt(allAttempts(RUN)[0]!, undefined)).toBe('took 20 s')
})
