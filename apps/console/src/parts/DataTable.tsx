import { useLayoutEffect, useRef, useState, type KeyboardEvent, type ReactNode } from 'react'
import type { Selection } from './useSelection.ts'

export interface Column<Row> {
  header: string
  cell: (row: Row) => ReactNode
  /** Numbers stand on the right. */
  align?: 'end'
  /** Names the row; one column at most. */
  isRowHeader?: boolean
  /** Without its own label where rows are cards: it says what it is itself. */
  isPlain?: boolean
  /** Has a line to itself where rows are cards. */
  isFull?: boolean
  /** Takes what the others leave, and is cut where that is not enough. */
  isWide?: boolean
  /** Whether it says nothing of a row: left out where rows are cards. */
  isEmpty?: (row: Row) => boolean
}

export interface DataTableProps<Row> {
  caption: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  keyOf: (row: Row) => string
  rowClass?: (row: Row) => string | undefined
  /** A check box for each row, which `x` checks where the focus is. */
  selection?: Selection
  /** Names the row for who does not see it; needed with check boxes. */
  nameOf?: (row: Row) => string
}

/**
 * A table that turns into cards where there is no room for columns. The roles are written out, since a table
 * that is not displayed as one loses them. Where its rows have links (`data-row-link`), Tab comes to one row alone, and the
 * arrow keys lead to the others, as j and k do.
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
          {columns.map(({ header, align }) => (
            <th
              key={header}
              scope="col"
              role="columnheader"
              className={align === 'end' ? 'isEnd' : undefined}
            >
              {header}
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
              const { header, cell, align, isRowHeader, isPlain, isFull, isWide, isEmpty } = column
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
                    isEmpty?.(row) && 'isEmpty',
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

/** One stop of the Tab key for all rows: the row that had the focus last, with all that is in it. */
function useRowRoving() {
  const body = useRef<HTMLTableSectionElement>(null)
  const [current, setCurrent] = useState<string | null>(null)

  // After each render: rows come and go, and cells do not know of which row they are.
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
    // A menu in a row has taken its key.
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
