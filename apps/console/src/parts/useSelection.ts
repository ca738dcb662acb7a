import { useState } from 'react'

/** Which rows of a page are checked, or all that match, on whatever page. */
export interface Selection {
  count: number
  isPageSelected: boolean
  /** More than the page: what is on it is only a part. */
  isEverything: boolean
  has(key: string): boolean
  toggle(key: string): void
  selectPage(isOn: boolean): void
  selectEverything(): void
  clear(): void
  keys(): string[]
}

/** `scope` says what the rows are: with another one, nothing is checked any more. */
export function useSelection(onPage: readonly string[], scope: string): Selection {
  const [chosen, setChosen] = useState({ scope, keys: new Set<string>(), isEverything: false })
  const isCurrent = chosen.scope === scope
  const isEverything = isCurrent && chosen.isEverything
  // Rows that have gone meanwhile are checked no more.
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
