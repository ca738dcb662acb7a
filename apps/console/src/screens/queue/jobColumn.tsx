import { JobLink } from '../../parts/JobLink.tsx'
import type { Column } from '../../parts/DataTable.tsx'

/** The column that names the job of a row. */
export const jobColumn: Column<{ name: string }> = {
  header: 'Job',
  isRowHeader: true,
  isFull: true,
  isPlain: true,
  cell: ({ name }) => <JobLink name={name} />,
}
