import type { ReactNode } from 'react'
import { Button } from './Button.tsx'
import { Count } from './Count.tsx'
import type { Selection } from './useSelection.ts'

export interface SelectionBarProps {
  selection: Selection
  /** How many rows match on all pages; null if nobody knows, or if the page has all. */
  total: number | null
  /** Whether more may match than were counted. */
  isCut?: boolean
  /** The actions on the checked rows. */
  children: ReactNode
}

/**
 * Stands above the rows: how many are checked, and the actions on them. It is there before it is needed, so that a
 * screen reader reads its changes.
 */
export function SelectionBar({ selection, total, isCut = false, children }: SelectionBarProps) {
  const { count, isEverything, isPageSelected } = selection
  const isShown = count > 0
  return (
    <div className={isShown ? 'selectionBar' : undefined}>
      <span role="status" className="selectionCount">
        {isShown &&
          (isEverything && total !== null ? (
            <>
              All <Count value={total} isCut={isCut} /> selected
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
            <Button look="isQuiet" onClick={selection.selectEverything}>
              Select all <Count value={total} isCut={isCut} /> that match
            </Button>
          )}
          <span className="selectionActions">
            {children}
            <Button look="isQuiet" onClick={selection.clear}>
              Clear selection
            </Button>
          </span>
        </>
      )}
    </div>
  )
}
