import type { ConsoleSettings } from '@roundsman/admin/contract'
import { createContext } from 'react'
import type { Api } from '../api/createApi.ts'
import type { Reachability } from '../api/createReachability.ts'
import type { LiveUpdates } from '../live/createLiveUpdates.ts'
import type { Clock } from '../time/createClock.ts'

/** What lives as long as the page; main.tsx makes it once. */
export interface Services {
  settings: ConsoleSettings
  api: Api
  clock: Clock
  reachability: Reachability
  live: LiveUpdates
}

export const ServicesContext = createContext<Services | null>(null)
