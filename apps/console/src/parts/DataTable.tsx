import type { ReactNode } from 'react'

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
}

export interface DataTableProps<Row> {
  caption: string
  columns: readonly Column<Row>[]
  rows: readonly Row[]
  keyOf: (row: Row) => string
  rowClass?: (row: Row) => string | undefined
}

/**
 * A table that turns into cards where there is no room for columns. The roles are written out, since a table
 * that is not displayed as one loses them.
 */
export function DataTable<Row>({ caption, columns, rows, keyOf, rowClass }: DataTableProps<Row>) {
  return (
    // oxlint-disable jsx-a11y/no-redundant-roles, jsx-a11y/no-interactive-element-to-noninteractive-role -- displayed as cards, it would have none
    <table className="dataTable" role="table" aria-label={caption}>
      <thead role="rowgroup">
        <tr role="row">
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
      <tbody role="rowgroup">
        {rows.map((row) => (
          <tr key={keyOf(row)} role="row" className={rowClass?.(row)}>
            {columns.map(({ header, cell, align, isRowHeader, isPlain, isFull, isWide }) => {
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
