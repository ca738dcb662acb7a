import { useState } from 'react'

/** Which rows are checked: some of the page, or all that match on all pages. */
export interface Selection {
  count: number
  isPageSelected: boolean
  /** Whether it covers all pages, and not only this one. */
  isEverything: boolean
  has(key: string): boolean
  toggle(key: string): void
  selectPage(isOn: boolean): void
  selectEverything(): void
  clear(): void
  keys(): string[]
}

/** Keeps which rows are checked. `scope` names what the rows are: when it changes, none is checked any more. */
export function useSelection(onPage: readonly string[], scope: string): Selection {
  const [chosen, setChosen] = useState({ scope, keys: new Set<string>(), isEverything: false })
  const isCurrent = chosen.scope === scope
  const isEverything = isCurrent && chosen.isEverything
  // Rows that have gone meanwhile are no longer checked.
  const keys = isEverything ? onPage : isCurrent ? onPage.filter((key) => chosen.keys.has(key)) : []
  const choose = (next: readonly string[], everything = false) =>
    setChosen({ scope, keys: new Set(next), isEverything: everything })
  return {
    count: keys.length,
    isPageSelected: onPage.length > 0 && keys.length === onPage.length,
    isEverything,
    has: (key) => keys.includes(key),
    toggle: (key) =>
      choose(keys.includes(key) ? keys.filter((other) => other !== key) : [...keys, key]),
    selectPage: (isOn) => choose(isOn ? onPage : []),
    selectEverything: () => choose(onPage, true),
    clear: () => choose([]),
    keys: () => [...keys],
  }
}
