import { stripVTControlCharacters, styleText } from 'node:util'
import { expect, test } from 'vitest'
import type { Paint } from '../start/createPaint.ts'
import { describeStack, type StackSummary, drawBox } from '../start/describeStack.ts'

const now = new Date(2026, 5, 1, 12, 0, 10)

const summary: StackSummary = {
  apiUrl: 'http://127.0.0.1:3000',
  workerUrl: 'http://127.0.0.1:3001',
  inboxUrl: 'http://127.0.0.1:1080',
  demoUsers: [{ email: 'owner@example.com', role: 'owner' }],
  demoPassword: 'roundsman-demo',
  jobsEnabled: true,
  nextRuns: [
    { name: 'soon', nextRun: new Date(2026, 5, 1, 12, 0, 30) },
    { name: 'today', nextRun: new Date(2026, 5, 1, 12, 15) },
    { name: 'tomorrow', nextRun: new Date(2026, 5, 2, 3, 0) },
    { name: 'farAway', nextRun: new Date(2026, 5, 20, 3, 0) },
    { name: 'never', nextRun: null },
  ],
  database: { isEmbedded: true, place: '/data/postgres' },
  isDev: false,
  now,
}

const plain: Paint = (_style, text) => text
const coloured: Paint = (style, text) => styleText(style, text, { validateStream: false })

test('says when each job runs next, in local time and in how long', () => {
  const lines = describeStack(summary, plain)
  expect(lines.map((line) => line.trim())).toEqual(
    expect.arrayContaining([
      'soon      12:00, in 20 s',
      'today     12:15, in 15 min',
      'tomorrow  Tue 2 Jun, 03:00, in 15 h',
      'farAway   Sat 20 Jun, 03:00, in 19 days',
      'never     never',
    ]),
  )
})

test('says that jobs are disabled, and lists none', () => {
  const text = describeStack({ ...summary, jobsEnabled: false }, plain).join('\n')
  expect(text).toContain('disabled: JOBS_ENABLED is false')
  expect(text).not.toContain('tomorrow')
})

test('says where mail ends up, or nothing where it is sent', () => {
  const inbox = (inboxUrl: string | null) =>
    describeStack({ ...summary, inboxUrl }, plain).filter((line) => line.startsWith('Inbox'))
  expect(inbox('http://127.0.0.1:1080')).toEqual([
    'Inbox      http://127.0.0.1:1080 all mail ends up here',
  ])
  expect(inbox(null)).toEqual([])
})

test('shows no log-ins where there are none', () => {
  const text = describeStack({ ...summary, demoUsers: [] }, plain).join('\n')
  expect(text).not.toContain('Log in')
  expect(text).not.toContain('roundsman-demo')
})

test('fits 80 columns, also with a long path, and its frame is straight', () => {
  const place = `/srv/somebody/${'a long folder name/'.repeat(8)}postgres`
  const lines = describeStack({ ...summary, database: { isEmbedded: true, place } }, plain)
  const widths = drawBox('Roundsman', lines, plain)
    .trimEnd()
    .split('\n')
    .map((line) => line.length)
  expect(new Set(widths).size).toBe(1)
  expect(widths[0]).toBeLessThanOrEqual(80)
})

test('colours do not move its frame', () => {
  const draw = (paint: Paint) => drawBox('Roundsman', describeStack(summary, paint), paint)
  expect(draw(coloured)).toContain('\u001b')
  expect(stripVTControlCharacters(draw(coloured))).toBe(draw(plain))
})
