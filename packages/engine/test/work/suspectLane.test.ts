import { describe, expect, it } from 'vitest'
import { defineJob, type Job } from '../../src/index.ts'
import { containedLog } from '../../src/database/containedLog.ts'
import type { Taken } from '../../src/queue/taken.ts'
import type { ClaimAnswer } from '../../src/work/claimer.ts'
import { createSuspectLane } from '../../src/work/suspectLane.ts'
import { createTurns } from '../../src/work/turns.ts'

const parcel = defineJob({ name: 'parcel' })
const letter = defineJob({ name: 'letter' })
const apart = defineJob({ name: 'apart', isolate: true })

const silent = () => undefined
const log = containedLog({ info: silent, warn: silent, error: silent, child: () => log })

const workOf = ({ name }: Job) => ({ id: name, name, attempt: 3 }) as Taken
const answerWith = (...work: Taken[]): ClaimAnswer => ({
  work,
  isAlive: true,
  mayBeMore: false,
  freeInMs: null,
})

/** A lane that finds so many pieces of each job, of which each runs until it is released. */
function openLane(found: Record<string, number>) {
  const asked: string[] = []
  const running: { name: string; end: () => void }[] = []
  const left = { ...found }
  const turns = createTurns({ waitMs: 1_000, onOpen: silent })
  const lane = createSuspectLane({
    claimer: {
      claimSuspect: async (job) => {
        asked.push(job.name)
        left[job.name] = (left[job.name] ?? 0) - 1
        return (left[job.name] ?? 0) < 0 ? answerWith() : answerWith(workOf(job))
      },
    },
    turns,
    log,
    perform: ({ name }) => {
      const { promise, resolve } = Promise.withResolvers<void>()
      running.push({ name, end: resolve })
      return promise
    },
  })
  return { lane, turns, asked, running }
}

const settled = () => new Promise(setImmediate)
const namesOf = (runs: readonly { name: string }[]) => runs.map(({ name }) => name)

describe('work that is to run alone', () => {
  it('is taken a piece after the other, until there is none', async () => {
    const { lane, asked, running } = openLane({ parcel: 2 })
    lane.wake(parcel)
    await settled()
    expect([namesOf(running), lane.running()]).toEqual([['parcel'], 1])
    running[0]!.end()
    await settled()
    expect(namesOf(running)).toEqual(['parcel', 'parcel'])
    running[1]!.end()
    await lane.idle()
    expect(asked).toHaveLength(3)
  })

  it('holds nobody up again at once where there was none to take', async () => {
    const { lane, turns, asked } = openLane({})
    lane.wake(parcel)
    await lane.idle()
    lane.wake(parcel)
    await settled()
    expect([asked, turns.isOpen()]).toEqual([['parcel'], true])
  })

  it('waits for that of other jobs, except in processes of its own', async () => {
    const { lane, running } = openLane({ apart: 1, parcel: 1, letter: 1 })
    for (const job of [apart, parcel, letter]) lane.wake(job)
    await settled()
    expect(namesOf(running)).toEqual(['apart', 'parcel'])
    running[1]!.end()
    await settled()
    expect(namesOf(running)).toEqual(['apart', 'parcel', 'letter'])
    for (const { end } of running) end()
    await lane.idle()
  })

  it('has begun once the lane has stopped, where it was claimed before, and is waited for', async () => {
    const { lane, running } = openLane({ parcel: 2 })
    lane.wake(parcel)
    await lane.stop()
    await settled()
    expect(namesOf(running)).toEqual(['parcel'])
    const idle = lane.idle()
    running[0]!.end()
    await idle
    lane.wake(parcel)
    await settled()
    expect(running).toHaveLength(1)
  })
})
