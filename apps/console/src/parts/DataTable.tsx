import { useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import type { Selection } from './useSelection.ts'

export interface Column<Row> {
  header: string
  cell: (row: Row) => ReactNode
  /** `end` for numbers, which stand on the right. */
  align?: 'end'
  /** Whether this column names the row; one column at most. */
  isRowHeader?: boolean
  /** Whether a card shows the cell without a label, because it says what it is. */
  isPlain?: boolean
  /** Whether a card gives the cell a line of its own. */
  isFull?: boolean
  /** Whether it takes the width that the others leave, and is cut if that is too little. */
  isWide?: boolean
  /** Whether it holds the menu of the row, whose heading only screen readers need. */
  isMenu?: boolean
  /** Whether it says nothing of a row: left out where rows are cards. */
  isEmpty?: (row: Row) => boolean
}

export interface DataTableProps<Row> {
  caption: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  keyOf: (row: Row) => string
  rowClass?: (row: Row) => string | undefined
  /** Adds a check box to each row; `x` checks the row with the focus. */
  selection?: Selection
  /** Names a row for screen readers; needed with check boxes. */
  nameOf?: (row: Row) => string
}

/**
 * A table that becomes cards where columns have no room; roles are written out, because cards would lose them. Tab
 * reaches one row's link (`data-row-link`); the arrow keys, j and k lead to the others.
 */
export function DataTable<Row>(props: DataTableProps<Row>) {
  const { caption, columns, rows, keyOf, rowClass, selection, nameOf } = props
  const roving = useRowRoving()
  return (
    // oxlint-disable jsx-a11y/no-redundant-roles, jsx-a11y/no-interactive-element-to-noninteractive-role -- displayed as cards, it would have none
    <table className="dataTable" role="table" aria-label={caption}>
      <thead role="rowgroup">
        <tr role="row">
          {selection && (
            <th scope="col" role="columnheader" className="isCheck">
              <input
                type="checkbox"
                aria-label="Select all on this page"
                checked={selection.isPageSelected}
                ref={(box) => {
                  if (box) box.indeterminate = selection.count > 0 && !selection.isPageSelected
                }}
                onChange={({ target }) => selection.selectPage(target.checked)}
              />
            </th>
          )}
          {columns.map(({ header, align, isMenu }) => (
            <th
              key={header}
              scope="col"
              role="columnheader"
              className={isMenu ? 'isMenu' : align === 'end' ? 'isEnd' : undefined}
            >
              {isMenu ? <span className="srOnly">{header}</span> : header}
            </th>
          ))}
        </tr>
      </thead>
      <tbody role="rowgroup" {...roving.body}>
        {rows.map((row) => (
          <tr
            key={keyOf(row)}
            role="row"
            data-key={keyOf(row)}
            className={rowClass?.(row)}
            {...(selection && { 'aria-selected': selection.has(keyOf(row)) })}
          >
            {selection && (
              <td role="cell" className="isCheck isPlain">
                <input
                  type="checkbox"
                  data-row-check
                  aria-label={`Select ${nameOf?.(row) ?? keyOf(row)}`}
                  checked={selection.has(keyOf(row))}
                  onChange={() => selection.toggle(keyOf(row))}
                />
              </td>
            )}
            {columns.map((column) => {
              const { header, cell, align, isRowHeader, isPlain, isFull, isWide } = column
              const Cell = isRowHeader ? 'th' : 'td'
              return (
                <Cell
                  key={header}
                  role={isRowHeader ? 'rowheader' : 'cell'}
                  {...(isRowHeader && { scope: 'row' })}
                  className={[
                    align === 'end' && 'isEnd',
                    isPlain && 'isPlain',
                    isFull && 'isFull',
                    isWide && 'isWide',
                    column.isMenu && 'isMenu',
                    column.isEmpty?.(row) && 'isEmpty',
                  ]
                    .filter(Boolean)
                    .join(' ')}
                  data-label={header}
                >
                  {cell(row)}
                </Cell>
              )
            })}
          </tr>
        ))}
      </tbody>
    </table>
    // oxlint-enable jsx-a11y/no-redundant-roles, jsx-a11y/no-interactive-element-to-noninteractive-role
  )
}

const STEPS: Readonly<Record<string, number>> = {
  ArrowDown: 1,
  ArrowUp: -1,
  Home: -Infinity,
  End: Infinity,
}
const LINK = '[data-row-link]'

/** Gives all rows one stop of the Tab key: the row that last had the focus, with all controls in it. */
function useRowRoving() {
  const body = useRef<HTMLTableSectionElement>(null)
  const [current, setCurrent] = useState<string | null>(null)

  // After each render, because rows come and go and cells do not know their row.
  useLayoutEffect(() => {
    const rows = [...(body.current?.rows ?? [])]
    if (!rows.some((row) => row.querySelector(LINK))) return
    const stop = rows.find((row) => row.dataset['key'] === current) ?? rows[0]
    for (const row of rows) {
      for (const control of row.querySelectorAll<HTMLElement>('a, button, input, [tabindex]')) {
        control.tabIndex = row === stop ? 0 : -1
      }
    }
  })

  function move(event: KeyboardEvent<HTMLElement>): void {
    const step = STEPS[event.key]
    const rows = [...(body.current?.rows ?? [])]
    const at = rows.findIndex((row) => row.contains(event.target as Node))
    // A menu in the row has handled the key.
    if (step === undefined || at < 0 || event.defaultPrevented) return
    if (event.altKey || event.ctrlKey || event.metaKey) return
    const next = rows[Math.max(0, Math.min(rows.length - 1, at + step))]
    const link = next?.querySelector<HTMLElement>(LINK)
    if (!link) return
    event.preventDefault()
    link.focus()
  }

  return {
    body: {
      ref: body,
      onKeyDown: move,
      onFocus: ({ target }: { target: Element }) =>
        setCurrent(target.closest('tr')?.dataset['key'] ?? null),
    },
  }
}
