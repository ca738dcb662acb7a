import { useQuery } from '@tanstack/react-query'
import { useState, type ReactNode } from 'react'
import { Button } from '../../parts/Button.tsx'
import { jobsQuery } from '../../api/queries.ts'
import { RUN_TRIGGERS } from '../../api/run.ts'
import { hasFilters, parseRunSearch, type RunFilters } from '../../api/runFilters.ts'
import { OUTCOME_WORDS, RUN_OUTCOMES } from '../../api/runOutcome.ts'
import { SelectField } from '../../parts/Field.tsx'
import { InstantField } from '../../parts/InstantField.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatDuration, parseDuration } from '../../time/formatDuration.ts'
import { TextFilter } from './TextFilter.tsx'

export interface RunFilterFormProps {
  filters: RunFilters
  onChange: (filters: RunFilters) => void
}

const SPANS = [
  { label: 'Hour', ms: 3_600_000 },
  { label: 'Day', ms: 86_400_000 },
  { label: 'Week', ms: 7 * 86_400_000 },
] as const

/** Stands in the list of outcomes for all that is no success. */
const ANY_FAILURE = 'anyFailure'

/** Filters that are seldom wanted; a button shows them. */
const MORE = ['trigger', 'worker', 'minDurationMs', 'maxDurationMs', 'from', 'to'] as const

/** The filters of the list. Each change takes effect at once, and goes into the address. */
export function RunFilterForm({ filters, onChange }: RunFilterFormProps) {
  const { api, clock } = useServices()
  // Folded on narrow screens only, of which they would take half.
  const [isFolded, setFolded] = useState(true)
  const [isMoreOpen, setMoreOpen] = useState(() => MORE.some((key) => filters[key] !== undefined))
  const count = Object.values(filters).filter((value) => value !== undefined).length
  const hidden = isMoreOpen ? 0 : MORE.filter((key) => filters[key] !== undefined).length
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
        className="button filterFold"
        aria-expanded={!isFolded}
        onClick={() => setFolded(!isFolded)}
      >
        {count === 0 ? 'Filter' : `Filter (${count})`}
      </button>
      <div className="filterRow">
        <SelectField
          label="Job"
          value={filters.name ?? ''}
          data-filter
          onChange={({ target }) => change({ name: target.value })}
        >
          <option value="">All</option>
          {names.map((name) => (
            <option key={name}>{name}</option>
          ))}
        </SelectField>
        <SelectField
          label="Outcome"
          value={filters.outcome ?? (filters.status === 'failed' ? ANY_FAILURE : '')}
          onChange={({ target: { value } }) =>
            change(
              value === ANY_FAILURE
                ? { outcome: undefined, status: 'failed' }
                : { outcome: value, status: undefined },
            )
          }
        >
          <option value="">All</option>
          {RUN_OUTCOMES.map((outcome) => (
            <option key={outcome} value={outcome}>
              {OUTCOME_WORDS[outcome]}
            </option>
          ))}
          <option value={ANY_FAILURE}>Any but success</option>
        </SelectField>
        <TextFilter
          label="Label"
          value={filters.label ?? ''}
          placeholder="order 4711"
          onChange={(label) => change({ label })}
        />
        <TextFilter
          label="Error code"
          value={filters.errorCode ?? ''}
          placeholder="ECONNREFUSED"
          onChange={(errorCode) => change({ errorCode })}
        />
        <div className="filterButtons" role="group" aria-label="Started within the last">
          {SPANS.map(({ label, ms }) => (
            <Button
              key={label}
              look="isQuiet"
              aria-label={`Started within the last ${label.toLowerCase()}`}
              onClick={() =>
                change({ from: new Date(clock.now() - ms).toISOString(), to: undefined })
              }
            >
              {label}
            </Button>
          ))}
          <Button aria-expanded={isMoreOpen} onClick={() => setMoreOpen(!isMoreOpen)}>
            {hidden === 0 ? 'More filters' : `More filters (${hidden})`}
          </Button>
          <Button look="isQuiet" disabled={!hasFilters(filters)} onClick={() => onChange({})}>
            Clear
          </Button>
        </div>
      </div>
      {isMoreOpen && (
        <div className="filterRow isMore">
          <SelectField
            label="Trigger"
            value={filters.trigger ?? ''}
            onChange={({ target }) => change({ trigger: target.value })}
          >
            <option value="">All</option>
            {RUN_TRIGGERS.map((trigger) => (
              <option key={trigger}>{trigger}</option>
            ))}
          </SelectField>
          <TextFilter
            label="Worker"
            value={filters.worker ?? ''}
            placeholder="Begins with"
            onChange={(worker) => change({ worker })}
          />
          <DurationFilter
            label="Took at least"
            value={filters.minDurationMs}
            onChange={(minDurationMs) => change({ minDurationMs })}
          />
          <DurationFilter
            label="Took at most"
            value={filters.maxDurationMs}
            onChange={(maxDurationMs) => change({ maxDurationMs })}
          />
          <InstantField label="From" value={filters.from} onChange={(from) => change({ from })} />
          <InstantField label="To" value={filters.to} onChange={(to) => change({ to })} />
        </div>
      )}
      {filters.workId !== undefined && (
        <Chip name="Work" end="Of any work" onEnd={() => change({ workId: undefined })}>
          <code title={filters.workId}>{filters.workId.slice(-12)}</code>
        </Chip>
      )}
      {filters.key !== undefined && (
        <Chip name="Key" end="Of any key" onEnd={() => change({ key: undefined })}>
          <code className="isCut" title={filters.key}>
            {filters.key}
          </code>
        </Chip>
      )}
    </form>
  )
}

interface DurationFilterProps {
  label: string
  value: string | undefined
  onChange: (ms: string | undefined) => void
}

function DurationFilter({ label, value, onChange }: DurationFilterProps) {
  return (
    <TextFilter
      label={label}
      value={value === undefined ? '' : formatDuration(Number(value))}
      placeholder="90 s"
      problemOf={(text) => (parseDuration(text) === null ? 'Such as 90 s or 1.5 h' : undefined)}
      onChange={(text) => onChange(parseDuration(text)?.toString())}
    />
  )
}

/** A filter that has no control of its own, and the button that ends it. */
function Chip(props: { name: string; end: string; onEnd: () => void; children: ReactNode }) {
  const { name, end, onEnd, children } = props
  return (
    <div className="field">
      <span className="fieldLabel">{name}</span>
      <span className="filterChip">
        {children}
        <button type="button" className="iconButton" aria-label={end} onClick={onEnd}>
          ✕
        </button>
      </span>
    </div>
  )
}
