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

function start(root: HTMLElement): void {
  const clock = createClock(document)
  const reachability = createReachability(() => clock.now())
  const queries = createQueries()
  const services: Services = {
    api: createApi({ reachability, clock }),
    clock,
    reachability,
    live: createLiveUpdates({ queries, reachability, view: document }),
  }
  const router = createConsoleRouter()
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

const root = document.getElementById('root')
if (root) start(root)
