import type {
  ConsoleEnvironment,
  ConsoleJobDetail,
  ConsoleJobs,
  ConsoleOverview,
  ConsolePayload,
  ConsoleQueue,
  ConsoleSearch,
  ConsoleKey,
  ConsoleKeys,
  ConsoleLimit,
  ConsoleWorkers,
  WorkExplanation,
  StepChildren,
  WorkSteps,
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

/** What the server answers at `path`. */
function ask<Answer>(api: Api, queryKey: readonly unknown[], path: string) {
  return queryOptions({ queryKey, queryFn: ({ signal }) => api.get<Answer>(path, signal) })
}

/** Which environment, version and database the header names. */
export function environmentQuery(api: Api) {
  return ask<ConsoleEnvironment>(api, ['environment'], '/console/environment')
}

export function overviewQuery(api: Api) {
  return ask<ConsoleOverview>(api, ['overview'], '/console/overview')
}

export function jobsQuery(api: Api) {
  return ask<ConsoleJobs>(api, ['jobs'], '/console/jobs')
}

export function jobQuery(api: Api, name: string) {
  return ask<ConsoleJobDetail>(api, ['job', name], `/console/jobs/${encodeURIComponent(name)}`)
}

export function payloadQuery(api: Api, name: string) {
  return ask<ConsolePayload>(
    api,
    ['payload', name],
    `/console/jobs/${encodeURIComponent(name)}/payload`,
  )
}

export function runsQuery(api: Api, search: RunSearch, limit = RUNS_PER_PAGE) {
  return ask<RunPage>(
    api,
    ['runs', search, limit],
    `/jobs/runs${runQuery(search, { limit: String(limit) })}`,
  )
}

/** How many dead letters the runs that match have left. */
export function lettersOfRunsQuery(api: Api, filters: RunFilters) {
  return ask<{ count: number; isCut: boolean }>(
    api,
    ['runs', filters, 'deadLetters'],
    `/jobs/runs/dead-letters${runQuery(filters)}`,
  )
}

export function searchQuery(api: Api, text: string) {
  return ask<ConsoleSearch>(
    api,
    ['search', text],
    `/console/search?${new URLSearchParams({ q: text })}`,
  )
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
  return ask<ConsoleQueue>(api, ['queue'], '/console/queue')
}

/** Why a piece of work waits, or what became of it. */
export function explanationQuery(api: Api, id: string) {
  return ask<WorkExplanation>(api, ['work', id], `/jobs/work/${encodeURIComponent(id)}/explain`)
}

/** The steps of a piece of work over all its runs. */
export function stepsQuery(api: Api, id: string) {
  return ask<WorkSteps>(api, ['work', id, 'steps'], `/jobs/work/${encodeURIComponent(id)}/steps`)
}

export const CHILD_STATES = ['left', 'done', 'failed'] as const

export interface ChildrenSearch {
  step?: string | undefined
  item?: string | undefined
  state?: (typeof CHILD_STATES)[number] | undefined
  cursor?: string | undefined
}

/** The pieces of work that a step has enqueued. */
export function childrenQuery(api: Api, id: string, search: ChildrenSearch) {
  const { step = '', ...more } = search
  const query = new URLSearchParams({ step })
  for (const [name, value] of Object.entries(more)) if (value !== undefined) query.set(name, value)
  const path = `/jobs/work/${encodeURIComponent(id)}/steps/children?${query}`
  return ask<StepChildren>(api, ['work', id, 'children', search], path)
}

export function limitsQuery(api: Api) {
  return ask<{ limits: ConsoleLimit[] }>(api, ['limits'], '/jobs/limits')
}

export const KEY_SORTS = ['waiting', 'running', 'oldest', 'started', 'key'] as const
export type KeySort = (typeof KEY_SORTS)[number]

export function keysQuery(api: Api, name: string, order: KeySort) {
  return ask<ConsoleKeys>(
    api,
    ['keys', name, order],
    `/jobs/named/${encodeURIComponent(name)}/keys?limit=100&order=${order}`,
  )
}

export function keyQuery(api: Api, name: string, key: string) {
  return ask<ConsoleKey>(
    api,
    ['keys', name, { key }],
    `/jobs/named/${encodeURIComponent(name)}/key?key=${encodeURIComponent(key)}`,
  )
}

export function workersQuery(api: Api) {
  return ask<ConsoleWorkers>(api, ['workers'], '/console/workers')
}

/** Which work is meant: `field` is one that its job shows; without `value` what has none there. */
export interface PieceSearch {
  name?: string | undefined
  label?: string | undefined
  field?: string | undefined
  value?: string | undefined
  /** The key by which its job divides work. */
  key?: string | undefined
}

export interface DeadLetterSearch extends PieceSearch {
  errorCode?: string | undefined
  cursor?: string | undefined
}

export function deadLettersQuery(api: Api, search: DeadLetterSearch) {
  const query = runQuery(search, { limit: '50' })
  return ask<DeadLetterPage>(api, ['deadLetters', search], `/jobs/dead-letters${query}`)
}

export interface GroupsOf {
  of: 'work' | 'dead-letters'
  filter: PieceSearch & { errorCode?: string | undefined }
}

/** The largest groups of what matches, by key, by label and by what its jobs show. */
export function groupsQuery(api: Api, { of, filter }: GroupsOf) {
  return ask<PieceGroups>(
    api,
    [of === 'work' ? 'work' : 'deadLetters', filter, 'groups'],
    `/jobs/${of}/groups${runQuery(filter)}`,
  )
}

export interface WorkSearch extends PieceSearch {
  /** What is due last at the top. Default: what starts first. */
  order?: 'last' | undefined
  cursor?: string | undefined
}

export function workQuery(api: Api, search: WorkSearch) {
  const query = runQuery(search, { limit: '20' })
  return ask<WaitingWorkPage>(api, ['work', search], `/jobs/work${query}`)
}

export const SCHEDULE_STATES = ['paused', 'refused', 'late'] as const

export interface ScheduleSearch {
  /** How the key begins. */
  search?: string | undefined
  state?: (typeof SCHEDULE_STATES)[number] | undefined
  cursor?: string | undefined
}

export function schedulesQuery(api: Api, name: string, search: ScheduleSearch) {
  const query = runQuery({ ...search }, { limit: '50' })
  return ask<KeyedSchedules>(
    api,
    ['schedules', { name }, search],
    `/jobs/named/${encodeURIComponent(name)}/schedules${query}`,
  )
}

export function scheduleQuery(api: Api, of: { name: string; key: string }) {
  return ask<KeyedScheduleDetail>(api, ['schedules', of], ofKey(of))
}

export function scheduleTicksQuery(
  api: Api,
  of: { name: string; key: string },
  cursor: string | undefined,
) {
  const query = runQuery({ cursor }, { limit: '20' })
  return ask<KeyedTicks>(api, ['schedules', of, 'ticks', cursor], `${ofKey(of)}/ticks${query}`)
}

/** When a schedule would be due. */
export function previewQuery(api: Api, wanted: Readonly<Record<string, string>>) {
  return ask<SchedulePreview>(
    api,
    ['preview', wanted],
    `/console/schedules/preview?${new URLSearchParams(wanted)}`,
  )
}

/** The causes of the dead letters that match. */
export function causesQuery(api: Api, search: PieceSearch) {
  return ask<{ causes: DeadLetterCause[] }>(
    api,
    ['deadLetters', search, 'causes'],
    `/jobs/dead-letters/causes${runQuery(search)}`,
  )
}
