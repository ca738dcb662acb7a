import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  type ErrorComponentProps,
  Link,
} from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { asApiError } from './api/apiError.ts'
import {
  CHILD_STATES,
  KEY_SORTS,
  SCHEDULE_STATES,
  type ChildrenSearch,
  type DeadLetterSearch,
  type KeySort,
  type ScheduleSearch,
  type WorkSearch,
} from './api/queries.ts'
import { parseRunSearch, readText } from './api/runFilters.ts'
import { Button } from './parts/Button.tsx'
import { EmptyState } from './parts/EmptyState.tsx'
import { ScreenHeader } from './parts/ScreenHeader.tsx'
import { Skeleton } from './parts/Skeleton.tsx'
import { Shell } from './shell/Shell.tsx'

/** Makes the router. It fetches a screen's code when somebody goes there, or points at a link to it. */
export function createConsoleRouter(basepath: string) {
  return createRouter({
    routeTree: createRoutes(),
    basepath,
    // Every value in an address is a text: one that looks like a number is still the name of a job.
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: (search) => {
      const query = new URLSearchParams()
      for (const [key, value] of Object.entries(search)) {
        if (typeof value === 'string' && value !== '') query.set(key, value)
      }
      const text = query.toString()
      return text === '' ? '' : `?${text}`
    },
    scrollRestoration: true,
    defaultPreload: 'intent',
    defaultPendingComponent: ScreenSkeleton,
    defaultErrorComponent: ScreenError,
  })
}

/** The addresses of all screens, with what each reads from its query. A screen's code is a chunk of its own. */
function createRoutes() {
  const root = createRootRoute({ component: Shell, notFoundComponent: NotFoundScreen })
  const overview = createRoute({
    getParentRoute: () => root,
    path: '/',
    component: lazyRouteComponent(
      () => import('./screens/overview/OverviewScreen.tsx'),
      'OverviewScreen',
    ),
  })
  const jobs = createRoute({
    getParentRoute: () => root,
    path: '/jobs',
    validateSearch: ({ q }: Record<string, unknown>): { q?: string | undefined } =>
      typeof q === 'string' && q !== '' ? { q } : {},
    component: lazyRouteComponent(() => import('./screens/jobs/JobsScreen.tsx'), 'JobsScreen'),
  })
  const job = createRoute({
    getParentRoute: () => root,
    path: '/jobs/$name',
    component: lazyRouteComponent(() => import('./screens/job/JobScreen.tsx'), 'JobScreen'),
  })
  const schedules = createRoute({
    getParentRoute: () => root,
    path: '/jobs/$name/schedules',
    validateSearch: (search: Record<string, unknown>): ScheduleSearch => {
      const state = SCHEDULE_STATES.find((one) => one === search['state'])
      return { ...readTexts(search, ['search', 'state', 'cursor']), state }
    },
    component: lazyRouteComponent(
      () => import('./screens/schedule/SchedulesScreen.tsx'),
      'SchedulesScreen',
    ),
  })
  const newSchedule = createRoute({
    getParentRoute: () => root,
    path: '/jobs/$name/new-schedule',
    component: lazyRouteComponent(
      () => import('./screens/schedule/ScheduleFormScreen.tsx'),
      'NewScheduleScreen',
    ),
  })
  const schedule = createRoute({
    getParentRoute: () => root,
    path: '/jobs/$name/schedules/$key',
    validateSearch: (search: Record<string, unknown>) => readTexts(search, ['cursor']),
    component: lazyRouteComponent(
      () => import('./screens/schedule/ScheduleScreen.tsx'),
      'ScheduleScreen',
    ),
  })
  const changedSchedule = createRoute({
    getParentRoute: () => root,
    path: '/jobs/$name/schedules/$key/change',
    component: lazyRouteComponent(
      () => import('./screens/schedule/ScheduleFormScreen.tsx'),
      'ChangeScheduleScreen',
    ),
  })
  const runs = createRoute({
    getParentRoute: () => root,
    path: '/runs',
    validateSearch: parseRunSearch,
    component: lazyRouteComponent(() => import('./screens/runs/RunsScreen.tsx'), 'RunsScreen'),
  })
  const run = createRoute({
    getParentRoute: () => root,
    path: '/runs/$id',
    component: lazyRouteComponent(() => import('./screens/run/RunScreen.tsx'), 'RunScreen'),
  })
  const queues = createRoute({
    getParentRoute: () => root,
    path: '/queues',
    component: lazyRouteComponent(() => import('./screens/queue/QueuesScreen.tsx'), 'QueuesScreen'),
  })
  const waiting = createRoute({
    getParentRoute: () => root,
    path: '/waiting',
    validateSearch: (search: Record<string, unknown>): WorkSearch => ({
      ...readTexts(search, PIECES),
      order: search['order'] === 'last' ? 'last' : undefined,
    }),
    component: lazyRouteComponent(
      () => import('./screens/work/WaitingScreen.tsx'),
      'WaitingScreen',
    ),
  })
  const work = createRoute({
    getParentRoute: () => root,
    path: '/waiting/$id',
    component: lazyRouteComponent(() => import('./screens/work/WorkScreen.tsx'), 'WorkScreen'),
  })
  const children = createRoute({
    getParentRoute: () => root,
    path: '/waiting/$id/children',
    validateSearch: (search: Record<string, unknown>): ChildrenSearch => ({
      ...readTexts(search, ['step', 'item', 'cursor']),
      state: CHILD_STATES.find((one) => one === search['state']),
    }),
    component: lazyRouteComponent(
      () => import('./screens/work/ChildrenScreen.tsx'),
      'ChildrenScreen',
    ),
  })
  const deadLetter = createRoute({
    getParentRoute: () => root,
    path: '/dead-letters/$id',
    component: lazyRouteComponent(() => import('./screens/work/WorkScreen.tsx'), 'WorkScreen'),
  })
  const deadLetters = createRoute({
    getParentRoute: () => root,
    path: '/dead-letters',
    validateSearch: (search: Record<string, unknown>): DeadLetterSearch =>
      readTexts(search, [...PIECES, 'errorCode']),
    component: lazyRouteComponent(
      () => import('./screens/work/DeadLettersScreen.tsx'),
      'DeadLettersScreen',
    ),
  })
  const limits = createRoute({
    getParentRoute: () => root,
    path: '/limits',
    component: lazyRouteComponent(() => import('./screens/limit/LimitsScreen.tsx'), 'LimitsScreen'),
  })
  const keys = createRoute({
    getParentRoute: () => root,
    path: '/jobs/$name/keys',
    // Not a part of the path: a key may be `..`, or hold what is between its parts.
    validateSearch: (
      search: Record<string, unknown>,
    ): { key?: string | undefined; order?: KeySort | undefined } => ({
      key: readText(search['key']),
      order: KEY_SORTS.find((one) => one === search['order']),
    }),
    component: lazyRouteComponent(() => import('./screens/limit/KeysScreen.tsx'), 'KeysScreen'),
  })
  const workers = createRoute({
    getParentRoute: () => root,
    path: '/workers',
    component: lazyRouteComponent(
      () => import('./screens/worker/WorkersScreen.tsx'),
      'WorkersScreen',
    ),
  })
  return root.addChildren([
    ...[overview, jobs, job, runs, run, workers],
    ...[schedules, newSchedule, schedule, changedSchedule],
    ...[queues, waiting, work, children, deadLetters, deadLetter, limits, keys],
  ])
}

/** Which waiting work or dead letters are listed, and from where on. */
const PIECES = ['name', 'label', 'field', 'value', 'key', 'cursor'] as const

type Texts<Name extends string> = { [Each in Name]?: string | undefined }

function readTexts<const Name extends string>(
  search: Record<string, unknown>,
  names: readonly Name[],
): Texts<Name> {
  return Object.fromEntries(names.map((name) => [name, readText(search[name])])) as Texts<Name>
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>
  }
}

/** Shown instead of a screen that broke, such as when its code could not be fetched after an update. */
function ScreenError({ error }: ErrorComponentProps) {
  const { detail } = asApiError(error)
  return (
    <>
      <ScreenHeader title="This screen could not be shown" />
      <div className="problem" role="alert">
        <p className="problemTitle">{detail}</p>
        <p>
          A new version of the console may have been installed. Loading the page again helps then.
        </p>
        <Button onClick={() => location.reload()}>Load again</Button>
      </div>
    </>
  )
}

/** Shown while a screen's code is fetched. */
function ScreenSkeleton() {
  return (
    <div aria-busy="true">
      <header className="screenHeader">
        <Skeleton kind="title" />
      </header>
      <Skeleton kind="panel" />
    </div>
  )
}

function NotFoundScreen(): ReactNode {
  return (
    <>
      <ScreenHeader title="Nothing here" />
      <EmptyState title="This address leads nowhere">
        <p>
          It may be mistyped. <Link to="/">Go to the overview</Link>
        </p>
      </EmptyState>
    </>
  )
}
