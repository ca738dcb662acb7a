import type {
  BulkAct,
  ConsoleEnvironment,
  ConsoleJobDetail,
  ConsoleJobs,
  ConsoleOverview,
  ConsolePayload,
  ConsoleQueue,
  ConsoleSearch,
  ConsoleWorkerDetail,
  ConsoleKey,
  ConsoleKeys,
  ConsoleLimit,
  ConsoleWorkers,
  WorkExplanation,
  DeadLetterCause,
  PieceGroups,
  KeyedScheduleDetail,
  KeyedSchedules,
  KeyedTicks,
  RunDetail,
  SchedulePreview,
} from '@roundsman/admin/contract'
import { queryOptions } from '@tanstack/react-query'
import { ofKey } from '../actions/actionRequest.ts'
import type { Api } from './createApi.ts'
import type { DeadLetterPage, RunPage, WaitingWorkPage } from './run.ts'
import { runQuery, type RunFilters, type RunSearch } from './runFilters.ts'

/** How many runs a page of the list has. */
export const RUNS_PER_PAGE = 50

/** Which environment, version and database the header names. */
export function environmentQuery(api: Api) {
  return queryOptions({
    queryKey: ['environment'],
    queryFn: ({ signal }) => api.get<ConsoleEnvironment>('/console/environment', signal),
  })
}

export function overviewQuery(api: Api) {
  return queryOptions({
    queryKey: ['overview'],
    queryFn: ({ signal }) => api.get<ConsoleOverview>('/console/overview', signal),
  })
}

export function jobsQuery(api: Api) {
  return queryOptions({
    queryKey: ['jobs'],
    queryFn: ({ signal }) => api.get<ConsoleJobs>('/console/jobs', signal),
  })
}

export function jobQuery(api: Api, name: string) {
  return queryOptions({
    queryKey: ['job', name],
    queryFn: ({ signal }) =>
      api.get<ConsoleJobDetail>(`/console/jobs/${encodeURIComponent(name)}`, signal),
  })
}

export function payloadQuery(api: Api, name: string) {
  return queryOptions({
    queryKey: ['payload', name],
    queryFn: ({ signal }) =>
      api.get<ConsolePayload>(`/console/jobs/${encodeURIComponent(name)}/payload`, signal),
  })
}

export function runsQuery(api: Api, search: RunSearch, limit = RUNS_PER_PAGE) {
  return queryOptions({
    queryKey: ['runs', search, limit],
    queryFn: ({ signal }) =>
      api.get<RunPage>(`/jobs/runs${runQuery(search, { limit: String(limit) })}`, signal),
  })
}

/** How many dead letters the runs that match have left. */
export function lettersOfRunsQuery(api: Api, filters: RunFilters) {
  return queryOptions({
    queryKey: ['runs', filters, 'deadLetters'],
    queryFn: ({ signal }) =>
      api.get<{ count: number; isCut: boolean }>(
        `/jobs/runs/dead-letters${runQuery(filters)}`,
        signal,
      ),
  })
}

export function searchQuery(api: Api, text: string) {
  return queryOptions({
    queryKey: ['search', text],
    queryFn: ({ signal }) =>
      api.get<ConsoleSearch>(`/console/search?${new URLSearchParams({ q: text })}`, signal),
  })
}

/** How often a run under way is looked at, beside what is announced. */
const RUNNING_MS = 5_000

export function runDetailQuery(api: Api, id: string) {
  return queryOptions({
    queryKey: ['run', id],
    queryFn: ({ signal }) => api.get<RunDetail>(`/jobs/runs/${encodeURIComponent(id)}`, signal),
    // Nobody announces that a run waits for a lock.
    refetchInterval: ({ state }) => (state.data?.status === 'running' ? RUNNING_MS : false),
  })
}

export function queueQuery(api: Api) {
  return queryOptions({
    queryKey: ['queue'],
    queryFn: ({ signal }) => api.get<ConsoleQueue>('/console/queue', signal),
  })
}

/** Why a piece of work waits, or what became of it. */
export function explanationQuery(api: Api, id: string) {
  return queryOptions({
    queryKey: ['work', id],
    queryFn: ({ signal }) =>
      api.get<WorkExplanation>(`/jobs/work/${encodeURIComponent(id)}/explain`, signal),
  })
}

export function limitsQuery(api: Api) {
  return queryOptions({
    queryKey: ['limits'],
    queryFn: ({ signal }) => api.get<{ limits: ConsoleLimit[] }>('/jobs/limits', signal),
  })
}

export const KEY_SORTS = ['waiting', 'running', 'oldest', 'started', 'key'] as const
export type KeySort = (typeof KEY_SORTS)[number]

export function keysQuery(api: Api, name: string, order: KeySort) {
  return queryOptions({
    queryKey: ['keys', name, order],
    queryFn: ({ signal }) =>
      api.get<ConsoleKeys>(
        `/jobs/${encodeURIComponent(name)}/keys?limit=100&order=${order}`,
        signal,
      ),
  })
}

export function keyQuery(api: Api, name: string, key: string) {
  return queryOptions({
    queryKey: ['keys', name, { key }],
    queryFn: ({ signal }) =>
      api.get<ConsoleKey>(
        `/jobs/${encodeURIComponent(name)}/key?key=${encodeURIComponent(key)}`,
        signal,
      ),
  })
}

export function workersQuery(api: Api) {
  return queryOptions({
    queryKey: ['workers'],
    queryFn: ({ signal }) => api.get<ConsoleWorkers>('/console/workers', signal),
  })
}

/** `at`: an instant at which the worker ran something, to find one that is no longer on record. */
export function workerQuery(api: Api, id: string, at: string | undefined) {
  return queryOptions({
    queryKey: ['worker', id, at],
    queryFn: ({ signal }) => {
      const query = at === undefined ? '' : `?at=${encodeURIComponent(at)}`
      return api.get<ConsoleWorkerDetail>(
        `/console/workers/${encodeURIComponent(id)}${query}`,
        signal,
      )
    },
  })
}

/** Which work is meant: `field` is one that its job shows; without `value` what has none there. */
export interface PieceSearch {
  name?: string | undefined
  label?: string | undefined
  field?: string | undefined
  value?: string | undefined
  /** By which its job divides its work. */
  key?: string | undefined
}

export interface DeadLetterSearch extends PieceSearch {
  errorCode?: string | undefined
  cursor?: string | undefined
}

export function deadLettersQuery(api: Api, search: DeadLetterSearch) {
  return queryOptions({
    queryKey: ['deadLetters', search],
    queryFn: ({ signal }) => {
      const query = runQuery(search, { limit: '50' })
      return api.get<DeadLetterPage>(`/jobs/dead-letters${query}`, signal)
    },
  })
}

export interface GroupsOf {
  of: 'work' | 'dead-letters'
  filter: PieceSearch & { errorCode?: string | undefined }
}

/** The largest groups of what matches, by key, by label and by what its jobs show. */
export function groupsQuery(api: Api, { of, filter }: GroupsOf) {
  return queryOptions({
    queryKey: [of === 'work' ? 'work' : 'deadLetters', filter, 'groups'],
    queryFn: ({ signal }) => api.get<PieceGroups>(`/jobs/${of}/groups${runQuery(filter)}`, signal),
  })
}

export interface WorkSearch extends PieceSearch {
  /** What is due last at the top. Default: what starts first. */
  order?: 'last' | undefined
  cursor?: string | undefined
}

export function workQuery(api: Api, search: WorkSearch) {
  return queryOptions({
    queryKey: ['work', search],
    queryFn: ({ signal }) => {
      const query = runQuery(search, { limit: '20' })
      return api.get<WaitingWorkPage>(`/jobs/work${query}`, signal)
    },
  })
}

export const SCHEDULE_STATES = ['paused', 'refused', 'late'] as const

export interface ScheduleSearch {
  /** How the key begins. */
  search?: string | undefined
  state?: (typeof SCHEDULE_STATES)[number] | undefined
  cursor?: string | undefined
}

export function schedulesQuery(api: Api, name: string, search: ScheduleSearch) {
  return queryOptions({
    queryKey: ['schedules', { name }, search],
    queryFn: ({ signal }) => {
      const query = runQuery({ ...search }, { limit: '50' })
      return api.get<KeyedSchedules>(`/jobs/${encodeURIComponent(name)}/schedules${query}`, signal)
    },
  })
}

export function scheduleQuery(api: Api, of: { name: string; key: string }) {
  return queryOptions({
    queryKey: ['schedules', of],
    queryFn: ({ signal }) => api.get<KeyedScheduleDetail>(ofKey(of), signal),
  })
}

export function scheduleTicksQuery(
  api: Api,
  of: { name: string; key: string },
  cursor: string | undefined,
) {
  return queryOptions({
    queryKey: ['schedules', of, 'ticks', cursor],
    queryFn: ({ signal }) => {
      const query = runQuery({ cursor }, { limit: '20' })
      return api.get<KeyedTicks>(`${ofKey(of)}/ticks${query}`, signal)
    },
  })
}

/** When a schedule would be due. */
export function previewQuery(api: Api, wanted: Readonly<Record<string, string>>) {
  return queryOptions({
    queryKey: ['preview', wanted],
    queryFn: ({ signal }) =>
      api.get<SchedulePreview>(`/console/schedules/preview?${new URLSearchParams(wanted)}`, signal),
  })
}

/** What people do to many at once: that goes on, or the latest. */
export function bulksQuery(api: Api, isOpen: boolean) {
  return queryOptions({
    queryKey: ['bulk', { isOpen }],
    queryFn: ({ signal }) =>
      api.get<{ acts: BulkAct[] }>(`/jobs/bulk?limit=5${isOpen ? '&isOpen=true' : ''}`, signal),
  })
}

/** The causes of the dead letters that match. */
export function causesQuery(api: Api, search: PieceSearch) {
  return queryOptions({
    queryKey: ['deadLetters', search, 'causes'],
    queryFn: ({ signal }) =>
      api.get<{ causes: DeadLetterCause[] }>(
        `/jobs/dead-letters/causes${runQuery(search)}`,
        signal,
      ),
  })
}
