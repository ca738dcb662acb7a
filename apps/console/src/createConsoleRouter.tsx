import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
} from '@tanstack/react-router'
import { parseRunSearch } from './api/runFilters.ts'
import { ScreenError } from './parts/ScreenError.tsx'
import { ScreenSkeleton } from './parts/ScreenSkeleton.tsx'
import { NotFoundScreen } from './screens/NotFoundScreen.tsx'
import { Shell } from './shell/Shell.tsx'

/** Each screen's code comes when it is gone to, or pointed at. */
export function createConsoleRouter() {
  return createRouter({
    routeTree: createRoutes(),
    basepath: '/console',
    // Every value in an address is a text: one that looks like a number is the name of a job all the same.
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
  const queue = createRoute({
    getParentRoute: () => root,
    path: '/queue',
    validateSearch: (
      search: Record<string, unknown>,
    ): { name?: string | undefined; cursor?: string | undefined } => {
      const { name, cursor } = parseRunSearch(search)
      return { name, cursor }
    },
    component: lazyRouteComponent(() => import('./screens/queue/QueueScreen.tsx'), 'QueueScreen'),
  })
  return root.addChildren([overview, jobs, job, runs, run, queue])
}

declare module '@tanstack/react-router' {
  interface Register {
    router: ReturnType<typeof createConsoleRouter>
  }
}
