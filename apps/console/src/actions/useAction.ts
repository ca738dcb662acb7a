import { createContext, useContext } from 'react'
import type { Action } from './action.ts'

export const ActionContext = createContext<(action: Action) => void>(() => undefined)

/** Asks for an action: a dialog says what it does, takes the reason, and does it. */
export function useAction(): (action: Action) => void {
  return useContext(ActionContext)
}
