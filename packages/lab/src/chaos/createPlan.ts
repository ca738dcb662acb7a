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

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
/** A long one outlasts the time after which a worker notices that nobody answers. */
const HALF_OPEN_MS = { short: [500, 4_000], long: [12_000, 20_000] } as const
/** Shorter than 10 s, after which a statement that waits for the lost standby would be told that it committed. */
const SPLIT_MS = [2_000, 8_000] as const

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

type Drawn = {
  [Kind in DisturbanceKind]: Omit<Extract<Disturbance, { kind: Kind }>, 'kind' | 'atMs'>
}

/** Of each other kind: how many there are for each kill, how many at least, and what is drawn. */
const KINDS: {
  [Kind in Exclude<DisturbanceKind, 'kill'>]: {
    share: number
    least: number
    draw: (random: Random, slot: number, isOdd: boolean) => Drawn[Kind]
  }
} = {
  terminate: { share: 0.1, least: 1, draw: (_, slot) => ({ slot }) },
  freeze: {
    ...{ share: 0.1, least: 2 },
    draw: (random, slot, isCut) => ({ slot, durationMs: random.integer(100, 5_000), isCut }),
  },
  cut: { share: 0.08, least: 1, draw: (_, slot) => ({ slot }) },
  halfOpen: {
    ...{ share: 0.04, least: 1 },
    draw(random, slot, isLong) {
      const [from, to] = isLong ? HALF_OPEN_MS.long : HALF_OPEN_MS.short
      return { slot, durationMs: random.integer(from, to) }
    },
  },
  clock: {
    ...{ share: 0.06, least: 1 },
    draw: (random, slot) => ({
      slot,
      offsetMs: random.pick([-HOUR_MS, -MINUTE_MS, MINUTE_MS, HOUR_MS]),
      durationMs: random.integer(1_000, 15_000),
    }),
  },
  restart: {
    ...{ share: 0.05, least: 2 },
    draw: (random, _, isOdd) => ({
      mode: isOdd ? 'immediate' : 'fast',
      downMs: random.chance(0.5) ? 0 : random.integer(0, 3_000),
    }),
  },
  failOver: {
    ...{ share: 0.01, least: 2 },
    draw: (random, _, isSplit) => ({ splitMs: isSplit ? random.integer(...SPLIT_MS) : 0 }),
  },
  fullDisk: {
    ...{ share: 0.01, least: 1 },
    draw: (random) => ({ durationMs: random.integer(200, 4_000) }),
  },
}

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
  for (const [kind, { share, least, draw }] of Object.entries(KINDS)) {
    for (let index = 0; index < Math.max(least, Math.round(kills * share)); index++) {
      const atMs = calmMs + Math.round(random.next() * stormMs)
      const drawn = draw(random, drawSlot(random), index % 2 === 1)
      plan.push({ kind, atMs, ...drawn } as Disturbance)
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
