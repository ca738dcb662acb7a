import { afterEach, beforeEach, expect, it, vi } from 'vitest'
import { createTurns, type Turn, type Turns } from '../../src/work/turns.ts'

let turns: Turns
/** What the lanes do when they may go on. */
let onOpen: () => void

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] })
  onOpen = () => undefined
  turns = createTurns({ waitMs: 1_000, onOpen: () => onOpen() })
})

const expectNoTimer = () => expect(vi.getTimerCount()).toBe(0)

afterEach(() => {
  expectNoTimer()
  vi.useRealTimers()
})

/** Asks for a suspect's turn, and keeps the answer. */
function ask(): { turn: Turn | null } {
  const asked: { turn: Turn | null } = { turn: null }
  void turns.acquire().then((turn) => (asked.turn = turn))
  return asked
}

const settled = () => Promise.resolve().then(() => undefined)
const endOf = ({ turn }: { turn: Turn | null }) => {
  if (turn?.kind !== 'alone') throw new Error(`no turn: ${turn?.kind}`)
  turn.end()
}

it('waits for what runs, and lets nothing in meanwhile', async () => {
  turns.enter()
  turns.enter()
  expect(turns.isOpen()).toBe(true)
  const suspect = ask()
  expect(turns.isOpen()).toBe(false)
  turns.leave()
  await settled()
  expect(suspect.turn).toBeNull()
  turns.leave()
  await settled()
  expect(suspect.turn).toMatchObject({ kind: 'alone' })
  expect(turns.isOpen()).toBe(false)
  endOf(suspect)
  expect(turns.isOpen()).toBe(true)
})

it('one after the other, and between them the lanes take work once', async () => {
  const letIn = vi.fn<() => void>(() => {
    if (turns.isOpen()) turns.enter()
  })
  onOpen = letIn
  const [first, second] = [ask(), ask()]
  await settled()
  expect([first.turn?.kind, second.turn]).toEqual(['alone', null])
  endOf(first)
  await settled()
  expect(letIn).toHaveBeenCalledOnce()
  expect([second.turn, turns.isOpen()]).toEqual([null, false])
  turns.leave()
  await settled()
  expect(second.turn?.kind).toBe('alone')
  endOf(second)
  turns.leave()
})

it('gives up after a while, and leaves the lanes in peace for ten times as long', async () => {
  turns.enter()
  const first = ask()
  await vi.advanceTimersByTimeAsync(1_000)
  expect(first.turn).toEqual({ kind: 'busy' })
  expect(turns.isOpen()).toBe(true)

  const second = ask()
  expect(turns.isOpen()).toBe(true)
  await vi.advanceTimersByTimeAsync(1_000)
  expect(second.turn).toEqual({ kind: 'busy' })
  await vi.advanceTimersByTimeAsync(9_000)
  const third = ask()
  expect(turns.isOpen()).toBe(false)
  turns.leave()
  await settled()
  endOf(third)
})

it('in that peace still gets its turn when nothing runs by itself', async () => {
  turns.enter()
  ask()
  await vi.advanceTimersByTimeAsync(1_000)
  const second = ask()
  turns.leave()
  await settled()
  expect(second.turn?.kind).toBe('alone')
  endOf(second)
})

it('waits no longer for others of its kind than for what runs', async () => {
  const first = ask()
  const second = ask()
  await vi.advanceTimersByTimeAsync(1_000)
  expect([first.turn?.kind, second.turn?.kind]).toEqual(['alone', 'busy'])
  endOf(first)
  // Nobody was to blame: the lanes may be held up again at once.
  turns.enter()
  const third = ask()
  expect(turns.isOpen()).toBe(false)
  turns.leave()
  await settled()
  endOf(third)
})

it('holds up nobody any more once the worker stops', async () => {
  turns.enter()
  const [first, second] = [ask(), ask()]
  turns.stop()
  await settled()
  expect([first.turn, second.turn]).toEqual([{ kind: 'stopped' }, { kind: 'stopped' }])
  const late = ask()
  await settled()
  expect(late.turn).toEqual({ kind: 'stopped' })
})
