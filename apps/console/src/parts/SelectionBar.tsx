import type { ReactNode } from 'react'
import { Button } from './Button.tsx'
import { Count } from './Count.tsx'
import type { Selection } from './useSelection.ts'

/**
 * Stands above the rows: how many are checked, and the actions on them. It is there before it is needed, so that a
 * screen reader reads its changes.
 */
export function SelectionBar(props: { selection: Selection; children: ReactNode }) {
  const { selection, children } = props
  const { count } = selection
  const isShown = count > 0
  return (
    <div className={isShown ? 'selectionBar' : undefined}>
      <span role="status" className="selectionCount">
        {isShown && (
          <>
            <Count value={count} /> selected
          </>
        )}
      </span>
      {isShown && (
        <span className="selectionActions">
          {children}
          <Button look="isQuiet" onClick={() => selection.selectPage(false)}>
            Clear selection
          </Button>
        </span>
      )}
    </div>
  )
}
