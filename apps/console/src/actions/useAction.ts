import { createContext, useContext } from 'react'
import type { Action } from './action.ts'
import type { Bulk } from './bulk.ts'

export const ActionContext = createContext<((action: Action) => void) | null>(null)

/**
 * A function that asks for an action: a dialog explains it, takes the reason, and does it. Null for people who may only
 * look, so that they see no button.
 */
export function useAction(): ((action: Action) => void) | null {
  return useContext(ActionContext)
}

export const BulkContext = createContext<((bulk: Bulk) => void) | null>(null)

/** The same for actions on many things at once. */
export function useBulk(): ((bulk: Bulk) => void) | null {
  return useContext(BulkContext)
}
