import type { ConsoleJob, ConsoleSearch, RunOutcome } from '@roundsman/admin/contract'
import type { LinkProps } from '@tanstack/react-router'
import type { Action } from '../actions/action.ts'
import type { RunSearch } from '../api/runFilters.ts'
import { counted } from '../parts/Count.tsx'
import { PLACES } from '../shell/places.ts'

/** Where an entry leads, or what it does. */
export type PaletteTarget = { link: LinkProps } | { action: Action }

export interface PaletteEntry {
  /** Unique among all entries. */
  id: string
  label: string
  /** Stands beside the label, quieter. */
  detail?: string
  /** The outcome, for a run. */
  outcome?: RunOutcome
  /** When it was, as ISO 8601 in UTC. */
  at?: string
  isCode?: boolean
  target: PaletteTarget
}

export interface PaletteGroup {
  label: string
  entries: PaletteEntry[]
}

export interface PaletteContents {
  text: string
  jobs: readonly Pick<ConsoleJob, 'name' | 'description' | 'schedule' | 'paused' | 'dryRun'>[]
  mayAct: boolean
  /** What the server found for this text; null until it has answered. */
  found: ConsoleSearch | null
}

const MAX_JOBS = 6
const MAX_ACTIONS = 8

const PAGES: readonly PaletteEntry[] = [
  ...PLACES.map(({ to, label }): PaletteEntry => ({
    id: `page ${to}`,
    label,
    target: { link: { to } },
  })),
  runs('Failed runs', { outcome: 'failed' }),
  runs('Runs under way', { outcome: 'running' }),
]

/** The entries to choose from, the likeliest first. No action comes first, so that Enter alone does no harm. */
export function paletteGroups({ text, jobs, mayAct, found }: PaletteContents): PaletteGroup[] {
  const words = text.trim().toLowerCase().split(/\s+/).filter(Boolean)
  const fits = (label: string) => words.every((word) => label.toLowerCase().includes(word))
  const named = jobs.filter(({ name, description }) => fits(name) || fits(description))
  const groups: PaletteGroup[] = [
    { label: 'Pages', entries: PAGES.filter(({ label }) => fits(label)) },
    {
      label: 'Jobs',
      entries: named
        .toSorted((one, other) => Number(fits(other.name)) - Number(fits(one.name)))
        .slice(0, MAX_JOBS)
        .map(({ name, description }) => ({
          id: `job ${name}`,
          label: name,
          detail: description,
          target: { link: { to: '/jobs/$name', params: { name } } },
        })),
    },
    {
      label: 'Schedules',
      entries: (found?.schedules ?? []).map(({ name, key }) => ({
        id: `schedule ${name} ${key}`,
        label: key,
        detail: name,
        target: { link: { to: '/jobs/$name/schedules/$key', params: { name, key } } },
      })),
    },
    {
      label: 'Keys',
      entries: (found?.keys ?? []).map(({ name, key }) => ({
        id: `key ${name} ${key}`,
        label: key,
        detail: name,
        target: { link: { to: '/jobs/$name/keys', params: { name }, search: { key } } },
      })),
    },
    {
      label: 'Waiting work and dead letters',
      entries: (found?.work ?? []).map(({ workId, name, label, key, isDeadLetter }) => ({
        id: `work ${workId}`,
        label: label ?? key ?? workId,
        detail: `${name}, ${isDeadLetter ? 'dead letter' : 'waiting'}`,
        target: { link: { to: '/waiting/$id', params: { id: workId } } },
      })),
    },
    {
      label: 'Labels of runs',
      entries: (found?.labels ?? []).map(({ label, run }) => ({
        id: `label ${label}`,
        label,
        detail: run.name,
        outcome: run.outcome,
        at: run.startedAt,
        target: { link: { to: '/runs', search: { label } } },
      })),
    },
    { label: 'Runs', entries: (found?.runs ?? []).map(runEntry) },
    {
      label: 'Errors',
      entries: (found?.errors ?? []).map(({ code, count, isCut, thrown, message, lastAt }) => ({
        id: `error ${code}`,
        label: code,
        detail: `${counted(count, isCut)} ${count === 1 ? 'run' : 'runs'} · ${message ?? thrown}`,
        at: lastAt,
        isCode: true,
        target: { link: { to: '/runs', search: { errorCode: code } } },
      })),
    },
    {
      label: 'Workers',
      entries: (found?.workers ?? []).map((worker) => ({
        id: `worker ${worker}`,
        label: worker,
        target: { link: { to: '/runs', search: { worker } } },
      })),
    },
    {
      label: 'Actions',
      entries:
        mayAct && words.length > 0
          ? jobs
              .flatMap(jobActions)
              .filter(({ label }) => fits(label))
              .slice(0, MAX_ACTIONS)
          : [],
    },
  ]
  return groups.filter(({ entries }) => entries.length > 0)
}

function runEntry({ id, name, outcome, startedAt }: ConsoleSearch['runs'][number]): PaletteEntry {
  return {
    id: `run ${id}`,
    label: name,
    detail: id,
    outcome,
    at: startedAt,
    target: { link: { to: '/runs/$id', params: { id } } },
  }
}

/** The actions on a job that the palette offers. */
function jobActions({
  name,
  schedule,
  paused,
  dryRun,
}: PaletteContents['jobs'][number]): PaletteEntry[] {
  const entry = (label: string, action: Action): PaletteEntry => ({
    id: `${action.kind} ${label}`,
    label,
    target: { action },
  })
  return [
    entry(`Run ${name} now`, { kind: 'run', name, dryRun: false }),
    ...(dryRun ? [entry(`Dry run of ${name}`, { kind: 'run', name, dryRun })] : []),
    ...(schedule === null
      ? []
      : paused === null
        ? [entry(`Pause the schedule of ${name}`, { kind: 'pause', name })]
        : [entry(`Resume the schedule of ${name}`, { kind: 'resume', name })]),
  ]
}

function runs(label: string, search: RunSearch): PaletteEntry {
  return { id: `runs ${label}`, label, target: { link: { to: '/runs', search } } }
}
