import type { Random } from '../createRandom.ts'
import type { StopMode } from './openServer.ts'

/** What is done to the workers and to PostgreSQL, and when. */
export type Disturbance = { atMs: number } &
  /** Kills a ready worker, if there is one, or one in any state, starting included. */
  (
    | { kind: 'kill'; slot: number; isReady: boolean }
    /** SIGTERM: the worker drains and ends by itself. */
    | { kind: 'terminate'; slot: number }
    /** SIGSTOP, then SIGCONT. A worker that is cut off in between is taken for dead and comes back. */
    | { kind: 'freeze'; slot: number; durationMs: number; isCut: boolean }
    | { kind: 'cut'; slot: number }
    | { kind: 'halfOpen'; slot: number; durationMs: number }
    | { kind: 'clock'; slot: number; offsetMs: number; durationMs: number }
    | { kind: 'restart'; mode: StopMode; downMs: number }
    /** Fails over to a synchronous standby. The old primary goes on for `splitMs` with the connections that it has. */
    | { kind: 'failOver'; splitMs: number }
    | { kind: 'fullDisk'; durationMs: number }
  )

export type DisturbanceKind = Disturbance['kind']

export const WORKERS = 3

/** How many of each other kind there are for each kill. At least one of each. */
const SHARES = {
  terminate: 0.1,
  freeze: 0.1,
  cut: 0.08,
  halfOpen: 0.04,
  clock: 0.06,
  restart: 0.05,
  failOver: 0.01,
  fullDisk: 0.01,
} satisfies Partial<Record<DisturbanceKind, number>>

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** A long one outlasts the time after which a worker notices that nobody answers. */
const HALF_OPEN_MS = { short: [500, 4_000], long: [12_000, 20_000] } as const
/** Shorter than 30 s, after which a statement that waits for the lost standby would be told that it committed. */
const SPLIT_MS = [2_000, 15_000] as const

/** The share of kills that may hit a process which is only starting. */
const STARTING_SHARE = 0.1
/**
 * The share of the time, at its beginning, in which one thing happens after the other: each kill shows how long its rescue
 * takes, and a frozen worker that is cut off is found dead before it comes back.
 */
const CALM_SHARE = 0.25
/** Long enough for the killed worker's successor to be able to rescue at the next kill. */
const CALM_GAP_MS = 6_000
const CALM_FREEZE_MS = 4_500

/** Draws everything before the first of it happens, so that a run depends on the seed alone. */
export function createPlan(
  random: Random,
  { kills, durationMs }: { kills: number; durationMs: number },
): Disturbance[] {
  const calm = drawCalm(
    random,
    Math.min(kills, Math.floor((durationMs * CALM_SHARE) / CALM_GAP_MS)),
  )
  const calmMs = calm.length * CALM_GAP_MS
  const stormMs = durationMs - calmMs
  const calmKills = calm.filter(({ kind }) => kind === 'kill').length
  const plan: Disturbance[] = [
    ...calm,
    ...drawInstants(random, kills - calmKills, stormMs).map((atMs) => ({
      kind: 'kill' as const,
      atMs: calmMs + atMs,
      slot: drawSlot(random),
      isReady: !random.chance(STARTING_SHARE),
    })),
  ]
  for (const [kind, share] of Object.entries(SHARES)) {
    const count = Math.max(
      kind === 'restart' || kind === 'freeze' || kind === 'failOver' ? 2 : 1,
      Math.round(kills * share),
    )
    for (let index = 0; index < count; index++) {
      const disturbance = draw(random, kind as keyof typeof SHARES, index, stormMs)
      plan.push({ ...disturbance, atMs: calmMs + disturbance.atMs })
    }
  }
  return plan
    .map((disturbance) => endInTime(disturbance, durationMs))
    .toSorted((one, other) => one.atMs - other.atMs)
}

/** Nothing lasts beyond the plan. */
function endInTime(disturbance: Disturbance, planMs: number): Disturbance {
  if (!('durationMs' in disturbance)) return disturbance
  return {
    ...disturbance,
    durationMs: Math.min(disturbance.durationMs, planMs - disturbance.atMs),
  }
}

function drawCalm(random: Random, windows: number): Disturbance[] {
  return Array.from({ length: windows }, (_, index) => {
    const startMs = index * CALM_GAP_MS
    const slot = drawSlot(random)
    if (index % 3 === 1) {
      return { kind: 'freeze', atMs: startMs, slot, durationMs: CALM_FREEZE_MS, isCut: true }
    }
    const atMs = startMs + Math.round((0.6 + random.next() * 0.2) * CALM_GAP_MS)
    return { kind: 'kill', atMs, slot, isReady: true }
  })
}

function draw(
  random: Random,
  kind: keyof typeof SHARES,
  index: number,
  stormMs: number,
): Disturbance {
  const atMs = Math.round(random.next() * stormMs)
  const slot = drawSlot(random)
  const isOdd = index % 2 === 1
  switch (kind) {
    case 'terminate':
    case 'cut':
      return { kind, atMs, slot }
    case 'freeze':
      return { kind, atMs, slot, durationMs: random.integer(100, 5_000), isCut: isOdd }
    case 'halfOpen': {
      const [from, to] = isOdd ? HALF_OPEN_MS.long : HALF_OPEN_MS.short
      return { kind, atMs, slot, durationMs: random.integer(from, to) }
    }
    case 'clock':
      return drawClock(random, slot, stormMs)
    case 'restart':
      return {
        kind,
        atMs,
        mode: isOdd ? 'immediate' : 'fast',
        downMs: random.chance(0.5) ? 0 : random.integer(0, 3_000),
      }
    case 'failOver':
      return { kind, atMs, splitMs: isOdd ? random.integer(...SPLIT_MS) : 0 }
    case 'fullDisk':
      return { kind, atMs, durationMs: random.integer(200, 4_000) }
    default:
      return kind satisfies never
  }
}

function drawClock(random: Random, slot: number, stormMs: number): Disturbance {
  return {
    kind: 'clock',
    atMs: Math.round(stormMs * random.next()),
    slot,
    offsetMs: random.pick([-HOUR_MS, -MINUTE_MS, MINUTE_MS, HOUR_MS]),
    durationMs: random.integer(1_000, 15_000),
  }
}

/** Draws short and long gaps, so that kills come in bursts and workers have some peace in between. */
function drawInstants(random: Random, count: number, durationMs: number): number[] {
  const gaps = Array.from({ length: count }, () => random.next() * (random.chance(0.6) ? 0.3 : 2))
  const total = gaps.reduce((sum, gap) => sum + gap, 0)
  let sum = 0
  return gaps.map((gap) => {
    sum += gap
    return Math.round((sum / total) * durationMs)
  })
}

function drawSlot(random: Random): number {
  return random.integer(0, WORKERS - 1)
}
