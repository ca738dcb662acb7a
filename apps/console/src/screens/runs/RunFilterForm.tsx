import { useQuery } from '@tanstack/react-query'
import { useState } from 'react'
import { jobsQuery } from '../../api/queries.ts'
import { RUN_STATUSES, RUN_TRIGGERS } from '../../api/run.ts'
import { hasFilters, parseRunSearch, type RunFilters } from '../../api/runFilters.ts'
import { Field } from '../../parts/Field.tsx'
import { InstantField } from '../../parts/InstantField.tsx'
import { useServices } from '../../services/useServices.ts'

export interface RunFilterFormProps {
  filters: RunFilters
  onChange: (filters: RunFilters) => void
}

const SPANS = [
  { label: 'Hour', ms: 3_600_000 },
  { label: 'Day', ms: 86_400_000 },
  { label: 'Week', ms: 7 * 86_400_000 },
] as const

/** What the list is narrowed to. Takes effect as it is changed, and stands in the address. */
export function RunFilterForm({ filters, onChange }: RunFilterFormProps) {
  const { api, clock } = useServices()
  // Only where the screen is narrow: they would take half of it.
  const [isFolded, setFolded] = useState(true)
  const count = Object.values(filters).filter((value) => value !== undefined).length
  const jobs = useQuery({ ...jobsQuery(api), staleTime: Infinity })
  const names = (jobs.data?.jobs ?? []).map(({ name }) => name)
  // A job that has left the catalogue leaves its runs behind.
  if (filters.name !== undefined && !names.includes(filters.name)) names.push(filters.name)

  function change(changed: Record<string, unknown>): void {
    onChange(parseRunSearch({ ...filters, ...changed }))
  }

  return (
    <form
      className={isFolded ? 'filters isFolded' : 'filters'}
      aria-label="Filter runs"
      onSubmit={(event) => event.preventDefault()}
    >
      <button
        type="button"
        className="button isSmall filterFold"
        aria-expanded={!isFolded}
        onClick={() => setFolded(!isFolded)}
      >
        {count === 0 ? 'Filter' : `Filter (${count})`}
      </button>
      <Field label="Job">
        {(control) => (
          <select
            {...control}
            value={filters.name ?? ''}
            data-filter
            onChange={({ target }) => change({ name: target.value })}
          >
            <option value="">All</option>
            {names.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Status">
        {(control) => (
          <select
            {...control}
            value={filters.status ?? ''}
            onChange={({ target }) => change({ status: target.value })}
          >
            <option value="">All</option>
            {RUN_STATUSES.map((status) => (
              <option key={status}>{status}</option>
            ))}
          </select>
        )}
      </Field>
      <Field label="Trigger">
        {(control) => (
          <select
            {...control}
            value={filters.trigger ?? ''}
            onChange={({ target }) => change({ trigger: target.value })}
          >
            <option value="">All</option>
            {RUN_TRIGGERS.map((trigger) => (
              <option key={trigger}>{trigger}</option>
            ))}
          </select>
        )}
      </Field>
      <InstantField label="From" value={filters.from} onChange={(from) => change({ from })} />
      <InstantField label="To" value={filters.to} onChange={(to) => change({ to })} />
      {filters.queueJobId !== undefined && (
        <div className="field">
          <span className="fieldLabel">Work</span>
          <span className="filterChip">
            <code title={filters.queueJobId}>{filters.queueJobId.slice(-12)}</code>
            <button
              type="button"
              className="iconButton"
              aria-label="Of any work"
              onClick={() => change({ queueJobId: undefined })}
            >
              ✕
            </button>
          </span>
        </div>
      )}
      <div className="filterButtons" role="group" aria-label="Started within the last">
        {SPANS.map(({ label, ms }) => (
          <button
            key={label}
            type="button"
            className="button isSmall isQuiet"
            aria-label={`Started within the last ${label.toLowerCase()}`}
            onClick={() =>
              change({ from: new Date(clock.now() - ms).toISOString(), to: undefined })
            }
          >
            {label}
          </button>
        ))}
        <button
          type="button"
          className="button isSmall isQuiet"
          disabled={!hasFilters(filters)}
          onClick={() => onChange({})}
        >
          Clear
        </button>
      </div>
    </form>
  )
}
