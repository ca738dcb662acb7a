import { createContext, useContext } from 'react'
import type { Action } from './action.ts'
import type { Bulk } from './bulk.ts'

export const ActionContext = createContext<((action: Action) => void) | null>(null)

/**
 * Asks for an action: a dialog says what it does, takes the reason, and does it. Null for who may only look, and is
 * shown no button that does nothing.
 */
export function useAction(): ((action: Action) => void) | null {
  return useContext(ActionContext)
}

export const BulkContext = createContext<((bulk: Bulk) => void) | null>(null)

/** The same for what is done to many. */
export function useBulk(): ((bulk: Bulk) => void) | null {
  return useContext(BulkContext)
}
