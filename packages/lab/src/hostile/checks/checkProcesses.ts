import { readdir, readFile } from 'node:fs/promises'
import { sampleOf } from '../../checks.ts'
import { distribution } from '../../statistics.ts'
import type { Crash } from '../createHostileFleet.ts'
import { deadly } from '../hostileJobs.ts'
import type { DeadlyKind } from '../deadlyOutcomes.ts'
import type { Check } from './checkHostile.ts'
import { countBy } from './checkInnocents.ts'

const MAX_LAG_MS = 3_000
const MAX_GROWTH_BYTES = 64 * 1024 * 1024
const MAX_MORE_RESOURCES = 100
/** Enough samples of a worker's life to tell growth from warming up. */
const MIN_SAMPLES = 10

export const checkLag: Check = ({ fleet: { lags } }) => {
  const beyond = distribution(lags.map(({ beyondMs }) => beyondMs))
  const longest = Math.max(0, ...lags.map(({ from, to }) => to - from))
  return {
    guarantee: 'G9',
    name: 'the event loop stands still only for as long as a handler keeps it',
    isPassed: beyond.maxMs <= MAX_LAG_MS,
    figures:
      `${lags.length} pauses of 50 ms or more, the longest ${longest} ms; beyond what the handlers took and the machine withheld ` +
      `p50 / p99 / at most ${beyond.p50Ms} / ${beyond.p99Ms} / ${beyond.maxMs} ms; allowed ${MAX_LAG_MS} ms`,
  }
}

export const checkHeld: Check = ({ fleet: { lives } }) => {
  const long = lives.filter((held) => held.length >= MIN_SAMPLES)
  const growths = long.map((held) => {
    const warm = held.slice(Math.floor(held.length * 0.3), Math.ceil(held.length * 0.5))
    const end = held.slice(Math.floor(held.length * 0.8))
    const grown = (of: (one: (typeof held)[number]) => number) =>
      Math.min(...end.map(of)) - Math.max(...warm.map(of))
    return {
      bytes: grown(({ bytes }) => bytes),
      listeners: grown(({ listeners }) => listeners),
      resources: grown(({ resources }) => resources),
    }
  })
  const most = (of: (one: (typeof growths)[number]) => number) => Math.max(0, ...growths.map(of))
  const bytes = most((one) => one.bytes)
  const listeners = most((one) => one.listeners)
  const resources = most((one) => one.resources)
  return {
    guarantee: 'G9',
    name: 'memory, timers, sockets and listeners do not grow',
    isPassed: bytes <= MAX_GROWTH_BYTES && listeners <= 2 && resources <= MAX_MORE_RESOURCES,
    figures:
      `of ${long.length} workers that lived for longer, at most ${(bytes / 1_048_576).toFixed(1)} MB, ${listeners} listeners ` +
      `and ${resources} timers or sockets more at the end than once warm; allowed ${MAX_GROWTH_BYTES / 1_048_576} MB`,
  }
}

/** How long after a worker's end its runs may be rescued, on a busy machine. */
const RESCUE_MS = 10_000

export const checkCrashes: Check = ({ runs, fleet: { crashes, exits, rescuedFrom } }) => {
  const silent = crashes.filter(
    (crash) => !crash.hasLoggedError && !rescuedFrom.has(crash.workerId),
  )
  // Whoever rescues may end between its commit and its line: then the record alone says so.
  const lost = new Set(runs.flatMap((run) => (run.errorCode === 'worker_lost' ? run.workerId : [])))
  const unnamed = silent.filter(({ workerId, at }) => {
    const hasRescuerEnded = crashes.some((other) => other.at > at && other.at < at + RESCUE_MS)
    return !(hasRescuerEnded && lost.has(workerId))
  })
  const stuck = crashes.filter(({ wasStuck }) => wasStuck)
  const badExits = exits.filter(({ code }) => code !== 0)
  return {
    guarantee: 'G8, G9',
    name: 'each crash is named in the logs, none stands still for ever, and what is asked to end ends with 0',
    isPassed: unnamed.length + stuck.length + badExits.length === 0,
    figures:
      `${crashes.length} workers ended by themselves (${countBy(crashes, exitOf)}); ${silent.length} of them without a line, ` +
      `of which another's end explains all but ${unnamed.length}, ` +
      `${stuck.length} had to be killed from outside; ${exits.length} asked to end, ${badExits.length} of them otherwise`,
  }
}

/** Two losses beside others and five alone, after which the engine gives work up. */
const LOSSES = 7

/** How a worker ends that carries out this; by its watchdog, where the machine is too slow to fill a memory. */
const EXITS: Record<DeadlyKind, readonly string[]> = {
  'exits with 0': ['code 1'],
  'exits with 1': ['code 1'],
  aborts: ['SIGABRT'],
  'kills itself': ['SIGKILL'],
  'fills the memory': ['SIGABRT', 'SIGALRM'],
  'loops for ever': ['SIGALRM'],
  'throws where nobody is named': ['code 1'],
}

/** Tells the deadly ways apart, though they end workers side by side: each run's row names the worker that it was in. */
export const checkDeadly: Check = ({ enqueued, attemptsByWork, fleet }) => {
  const crashOf = new Map(fleet.crashes.map((crash) => [crash.workerId, crash]))
  const figures: string[] = []
  const wrong: string[] = []
  for (const [workId, { name, kind }] of enqueued) {
    if (name !== deadly.name) continue
    const attempts = attemptsByWork.get(workId) ?? []
    const crashes = attempts.flatMap(({ workerId }) => crashOf.get(workerId ?? '') ?? [])
    const lost = attempts.filter(({ errorCode }) => errorCode === 'worker_lost')
    // Its run may still succeed while the worker drains.
    const isGivenUp = kind === 'throws where nobody is named' || lost.length >= LOSSES
    const isItsOwn = crashes.every((crash) => EXITS[kind as DeadlyKind].includes(exitOf(crash)))
    if (!isGivenUp || !isItsOwn || crashes.length < Math.max(1, lost.length)) wrong.push(`${kind}`)
    figures.push(`${kind}: ${countBy(crashes, exitOf)}`)
  }
  return {
    guarantee: 'G2, G9',
    name: 'each way to end a process ends it in its own way, until the work is given up',
    isPassed: wrong.length === 0,
    figures: `${figures.join('; ') || 'none was enqueued'}; ${wrong.length} wrong${sampleOf(wrong)}`,
  }
}

export const checkLeft: Check = async ({ fleet, temporary, marker }) => {
  const files = await readdir(temporary)
  const processes = await findProcesses(marker)
  return {
    guarantee: 'G9',
    name: 'no file and no process is left behind',
    isPassed: files.length + processes.length === 0,
    figures: `${fleet.started} processes started, ${processes.length} left; ${files.length} files left${sampleOf(files)}`,
  }
}

/** Finds processes with the marker in their environment. Without /proc it finds none. */
async function findProcesses(marker: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  const environments = await Promise.all(
    pids.map((pid) => readFile(`/proc/${pid}/environ`, 'latin1').catch(() => '')),
  )
  return pids.filter((_, index) => environments[index]?.includes(marker))
}

function exitOf({ exit }: Crash): string {
  return exit.signal ?? `code ${exit.code}`
}
