import { Link } from '@tanstack/react-router'
import type { Column } from '../../parts/DataTable.tsx'

/** Whatever else the rows say, which job they are of. */
export const jobColumn: Column<{ name: string }> = {
  header: 'Job',
  isRowHeader: true,
  isFull: true,
  isPlain: true,
  cell: ({ name }) => (
    <Link to="/jobs/$name" params={{ name }} className="strongLink">
      {name}
    </Link>
  ),
}
