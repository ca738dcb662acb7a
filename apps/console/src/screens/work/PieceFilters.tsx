import type { PieceGroups } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, type LinkProps } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { groupsQuery, jobsQuery, type GroupsOf } from '../../api/queries.ts'
import { Count } from '../../parts/Count.tsx'
import { Dim } from '../../parts/Dim.tsx'
import { SelectField } from '../../parts/Field.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatShort } from '../../time/formatExact.ts'
import { shareOf } from '../limit/shareOf.ts'
import { TextFilter } from '../runs/TextFilter.tsx'
import { narrow, type GroupedBy } from './pieceSearch.ts'

type Group = PieceGroups['groups'][number]
type Filter = GroupsOf['filter']
type Chosen = GroupedBy & { value: string }

interface PieceFiltersProps extends Pick<GroupsOf, 'of'> {
  filter: Filter
  /** The jobs of what is listed, beside those of the catalogue. */
  names: readonly string[]
  onChange: (filter: Filter) => void
  /** More controls in the same row. */
  children?: ReactNode
}

/** Narrows a list of waiting work or dead letters: by job, and by key, label or a field that the job shows. */
export function PieceFilters({ of, filter, names, onChange, children }: PieceFiltersProps) {
  const { api } = useServices()
  const jobs = useQuery({ ...jobsQuery(api), staleTime: Infinity })
  const { data: groups } = useQuery({
    ...groupsQuery(api, { of, filter }),
    placeholderData: keepPreviousData,
  })
  const [chosen] = chosenOf(filter)
  const [by, setBy] = useState<GroupedBy>(chosen ?? BY_LABEL)
  const shownBy = chosen ?? by
  const { name } = filter
  const listed = new Set([...(jobs.data?.jobs ?? []).map((job) => job.name), ...names])
  if (name !== undefined) listed.add(name)
  const fields = new Set([...(groups?.fields ?? []), ...(shownBy.field ? [shownBy.field] : [])])
  const choices: GroupedBy[] = [
    BY_LABEL,
    { by: 'key', field: null },
    ...[...fields].map((field) => ({ by: 'field' as const, field })),
  ]
  const without = chosen === undefined ? filter : narrow(filter, chosen, null)
  return (
    <form className="filters" onSubmit={(event) => event.preventDefault()}>
      <div className="filterRow">
        <SelectField
          label="Job"
          value={name ?? ''}
          data-filter
          onChange={({ target }) => onChange({ ...filter, name: target.value || undefined })}
        >
          <option value="">All</option>
          {[...listed].map((job) => (
            <option key={job}>{job}</option>
          ))}
        </SelectField>
        <SelectField
          label="Find by"
          value={lineOf(shownBy)}
          onChange={({ target }) => {
            setBy(choices.find((one) => lineOf(one) === target.value) ?? BY_LABEL)
            if (chosen !== undefined) onChange(without)
          }}
        >
          {choices.map((one) => (
            <option key={lineOf(one)} value={lineOf(one)}>
              {one.field ?? (one.by === 'key' ? 'Key' : 'Label')}
            </option>
          ))}
        </SelectField>
        <TextFilter
          key={JSON.stringify([shownBy, chosen?.value])}
          label="Value"
          value={chosen?.value ?? ''}
          onChange={(text) => onChange(narrow(without, shownBy, text === '' ? null : text))}
        />
        {children}
      </div>
    </form>
  )
}

const BY_LABEL: GroupedBy = { by: 'label', field: null }

interface GroupsProps extends GroupsOf {
  /** The page that shows what is narrowed so. */
  linkTo: (filter: Filter) => LinkProps
}

/** The largest groups by key, by label, and by each field that the jobs show. Choosing one narrows the list to it. */
export function Groups({ of, filter, linkTo }: GroupsProps) {
  const { api } = useServices()
  const { data, isPlaceholderData } = useQuery({
    ...groupsQuery(api, { of, filter }),
    placeholderData: keepPreviousData,
  })
  if (data === undefined) return null
  const { groups, looked, isCut } = data
  const chosen = chosenOf(filter)
  const lines = Map.groupBy([...groups, ...chosen], lineOf)
  return (
    <Dim isOld={isPlaceholderData}>
      {[...lines].map(([line, [first]]) => {
        const own = chosen.find((one) => lineOf(one) === line)
        const listed = groups.filter((group) => lineOf(group) === line)
        const title = `By ${first?.field ?? first?.by}`
        return (
          <div key={line} className="causesBar" role="group" aria-label={title}>
            <span className="muted">
              {title}
              {isCut &&
                `, of the ${of === 'work' ? 'first' : 'latest'} ${looked.toLocaleString('en')}`}
            </span>
            {own !== undefined && !listed.some(({ value }) => value === own.value) && (
              <span className="causeChip isActive">{own.value}</span>
            )}
            {listed.map((group) => (
              <Link
                key={group.value}
                {...linkTo(narrow(filter, group, group.value))}
                className={group.value === own?.value ? 'causeChip isActive' : 'causeChip'}
                {...(group.value === own?.value && { 'aria-current': true })}
                data-tip={describeOldest(of, group)}
              >
                {group.value} · <Count value={group.count} /> ({shareOf(group.count, looked)})
              </Link>
            ))}
            {own !== undefined && <Link {...linkTo(narrow(filter, own, null))}>All</Link>}
          </div>
        )
      })}
    </Dim>
  )
}

/** A field may be called `key` or `label`, too. */
const lineOf = ({ by, field }: GroupedBy) => `${by} ${field ?? ''}`

function chosenOf({ key, label, field, value }: Filter): Chosen[] {
  return [
    ...(key === undefined ? [] : [{ by: 'key' as const, field: null, value: key }]),
    ...(label === undefined ? [] : [{ by: 'label' as const, field: null, value: label }]),
    ...(field === undefined ? [] : [{ by: 'field' as const, field, value: value ?? 'none' }]),
  ]
}

function describeOldest(of: GroupsOf['of'], { oldestAt }: Group): string {
  if (oldestAt === null) return ''
  return `The first was ${of === 'work' ? 'enqueued' : 'given up'} ${formatShort(oldestAt)}`
}
