import type { ReactNode } from 'react'
import { Count } from './Count.tsx'
import type { Selection } from './useSelection.ts'

export interface SelectionBarProps {
  selection: Selection
  /** How many match on all pages; null where nobody knows, or the page is all there is. */
  total: number | null
  /** What can be done with them. */
  children: ReactNode
}

/** Above the rows: how many are checked, and what can be done with them. There before it is needed, so that it is read out. */
export function SelectionBar({ selection, total, children }: SelectionBarProps) {
  const { count, isEverything, isPageSelected } = selection
  const isShown = count > 0
  return (
    <div className={isShown ? 'selectionBar' : undefined}>
      <span role="status" className="selectionCount">
        {isShown &&
          (isEverything && total !== null ? (
            <>
              All <Count value={total} /> selected
            </>
          ) : (
            <>
              <Count value={count} /> selected
            </>
          ))}
      </span>
      {isShown && (
        <>
          {isPageSelected && !isEverything && total !== null && total > count && (
            <button
              type="button"
              className="button isSmall isQuiet"
              onClick={selection.selectEverything}
            >
              Select all {total.toLocaleString('en')} that match
            </button>
          )}
          <span className="selectionActions">
            {children}
            <button type="button" className="button isSmall isQuiet" onClick={selection.clear}>
              Clear selection
            </button>
          </span>
        </>
      )}
    </div>
  )
}
