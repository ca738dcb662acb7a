import type { PieceGroups } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, type LinkProps } from '@tanstack/react-router'
import { narrow, type GroupedBy } from './pieceSearch.ts'
import { groupsQuery, type GroupsOf } from '../../api/queries.ts'
import { Count } from '../../parts/Count.tsx'
import { Dim } from '../../parts/Dim.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatShort } from '../../time/formatExact.ts'
import { shareOf } from '../limit/shareOf.ts'

type Group = PieceGroups['groups'][number]
type Chosen = GroupedBy & { value: string }

export interface GroupsProps extends Pick<GroupsOf, 'of'> {
  /** What the list is narrowed to already. */
  filter: GroupsOf['filter']
  /** The search of the page that shows what is narrowed so. */
  toSearch: (filter: GroupsOf['filter']) => NonNullable<LinkProps['search']>
}

/** The largest groups by key, by label, and by each field that the jobs show. Choosing one narrows the list to it. */
export function Groups({ of, filter, toSearch }: GroupsProps) {
  const { api } = useServices()
  const { data, isPlaceholderData } = useQuery({
    ...groupsQuery(api, { of, filter }),
    placeholderData: keepPreviousData,
  })
  if (data === undefined) return null
  const { groups, looked, isCut } = data
  const chosen = chosenOf(filter)
  const lines = new Map([...groups, ...chosen].map((one) => [lineOf(one), one]))
  return (
    <Dim isOld={isPlaceholderData}>
      {[...lines].map(([line, { by, field }]) => {
        const own = chosen.find((one) => lineOf(one) === line)
        const listed = groups.filter((group) => lineOf(group) === line)
        const title = `By ${field ?? by}`
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
                to="/queue"
                search={toSearch(narrow(filter, group, group.value))}
                resetScroll={false}
                className={group.value === own?.value ? 'causeChip isActive' : 'causeChip'}
                {...(group.value === own?.value && { 'aria-current': true })}
                data-tip={describeOldest(of, group)}
              >
                {group.value} · <Count value={group.count} /> ({shareOf(group.count, looked)})
              </Link>
            ))}
            {own !== undefined && (
              <Link to="/queue" search={toSearch(narrow(filter, own, null))} resetScroll={false}>
                All
              </Link>
            )}
          </div>
        )
      })}
    </Dim>
  )
}

/** A field may be called `key` or `label`, too. */
const lineOf = ({ by, field }: GroupedBy) => `${by} ${field ?? ''}`

function chosenOf({ key, label, field, value }: GroupsOf['filter']): Chosen[] {
  return [
    ...(key === undefined ? [] : [{ by: 'key' as const, field: null, value: key }]),
    ...(label === undefined ? [] : [{ by: 'label' as const, field: null, value: label }]),
    ...(field === undefined ? [] : [{ by: 'field' as const, field, value: value ?? 'none' }]),
  ]
}

function describeOldest(of: GroupsOf['of'], { oldestAt }: Group): string {
  if (oldestAt === null) return ''
  return `The first ${of === 'work' ? 'was enqueued' : 'was given up'} ${formatShort(oldestAt)}`
}
