import { useState } from 'react'

/** Which rows of a page are checked. */
export interface Selection {
  count: number
  isPageSelected: boolean
  has(key: string): boolean
  toggle(key: string): void
  selectPage(isOn: boolean): void
  keys(): string[]
}

/** Keeps which rows are checked. `scope` names what the rows are: when it changes, none is checked any more. */
export function useSelection(onPage: readonly string[], scope: string): Selection {
  const [chosen, setChosen] = useState({ scope, keys: new Set<string>() })
  // Rows that have gone meanwhile are no longer checked.
  const keys = chosen.scope === scope ? onPage.filter((key) => chosen.keys.has(key)) : []
  const choose = (next: readonly string[]) => setChosen({ scope, keys: new Set(next) })
  return {
    count: keys.length,
    isPageSelected: onPage.length > 0 && keys.length === onPage.length,
    has: (key) => keys.includes(key),
    toggle: (key) =>
      choose(keys.includes(key) ? keys.filter((other) => other !== key) : [...keys, key]),
    selectPage: (isOn) => choose(isOn ? onPage : []),
    keys: () => [...keys],
  }
}
