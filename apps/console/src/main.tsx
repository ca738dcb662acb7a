import type { ConsoleSettings } from '@roundsman/admin/contract'
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { createApi } from './api/createApi.ts'
import { createReachability } from './api/createReachability.ts'
import { createLiveUpdates } from './live/createLiveUpdates.ts'
import { createConsoleRouter } from './createConsoleRouter.tsx'
import { ServicesContext, type Services } from './services/ServicesContext.ts'
import { createQueries } from './session/createQueries.ts'
import './styles/index.css'
import { createClock } from './time/createClock.ts'

/** Makes the services of the page and draws the console. */
function start(root: HTMLElement): void {
  const clock = createClock(document)
  const reachability = createReachability(() => clock.now())
  const queries = createQueries()
  const settings = readSettings(document)
  const services: Services = {
    settings,
    api: createApi({ prefix: settings.api, reachability, clock }),
    clock,
    reachability,
    live: createLiveUpdates({
      eventsUrl: `${settings.api}/jobs/events`,
      queries,
      reachability,
      view: document,
    }),
  }
  const router = createConsoleRouter(settings.base)
  createRoot(root).render(
    <StrictMode>
      <ServicesContext value={services}>
        <QueryClientProvider client={queries}>
          <RouterProvider router={router} />
        </QueryClientProvider>
      </ServicesContext>
    </StrictMode>,
  )
}

/** Reads what the server wrote into the page. Without it, as under a development server, the console is at the root. */
function readSettings(document: Document): ConsoleSettings {
  const { base, api, sessions, login, trace } =
    document.querySelector<HTMLMetaElement>('meta[name="roundsman"]')?.dataset ?? {}
  return {
    base: base ?? '/',
    api: api ?? '/api',
    hasSessions: sessions === 'true',
    loginUrl: login ?? '',
    traceUrl: trace ?? '',
  }
}

const root = document.getElementById('root')
if (root) start(root)
