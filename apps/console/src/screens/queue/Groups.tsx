import type { PieceGroups } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { Link, type LinkProps } from '@tanstack/react-router'
import { groupsQuery, type GroupsOf } from '../../api/queries.ts'
import { Count } from '../../parts/Count.tsx'
import { Dim } from '../../parts/Dim.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatShort } from '../../time/formatExact.ts'

type Group = PieceGroups['groups'][number]
type Chosen = { field: string | null; value: string }

export interface GroupsProps extends Pick<GroupsOf, 'of'> {
  /** What the list is narrowed to already. */
  filter: GroupsOf['filter']
  /** The search of the list narrowed to a group, or with null to all values of the field. */
  searchOf: (field: string | null, value: string | null) => NonNullable<LinkProps['search']>
}

/** The largest groups by label, and by each field that the jobs show. Choosing one narrows the list to it. */
export function Groups({ of, filter, searchOf }: GroupsProps) {
  const { api } = useServices()
  const { data, isPlaceholderData } = useQuery({
    ...groupsQuery(api, { of, filter }),
    placeholderData: keepPreviousData,
  })
  if (data === undefined) return null
  const { groups, looked, isCut } = data
  const chosen = chosenOf(filter)
  const fields = [...new Set([...groups, ...chosen].map(({ field }) => field))]
  return (
    <Dim isOld={isPlaceholderData}>
      {fields.map((field) => {
        const own = chosen.find((one) => one.field === field)
        const listed = groups.filter((group) => group.field === field)
        const title = field === null ? 'By label' : `By ${field}`
        return (
          <div key={field ?? ''} className="causesBar" role="group" aria-label={title}>
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
                search={searchOf(field, group.value)}
                resetScroll={false}
                className={group.value === own?.value ? 'causeChip isActive' : 'causeChip'}
                {...(group.value === own?.value && { 'aria-current': true })}
                data-tip={describeOldest(of, group)}
              >
                {group.value} · <Count value={group.count} /> ({shareOf(group, looked)})
              </Link>
            ))}
            {own !== undefined && (
              <Link to="/queue" search={searchOf(field, null)} resetScroll={false}>
                All
              </Link>
            )}
          </div>
        )
      })}
    </Dim>
  )
}

function chosenOf({ label, field, value }: GroupsOf['filter']): Chosen[] {
  return [
    ...(label === undefined ? [] : [{ field: null, value: label }]),
    ...(field === undefined ? [] : [{ field, value: value ?? 'none' }]),
  ]
}

/** Never rounded up to all. */
function shareOf({ count }: Group, looked: number): string {
  const percent = Math.floor((100 * count) / looked)
  return percent === 0 ? '< 1 %' : `${percent} %`
}

function describeOldest(of: GroupsOf['of'], { oldestAt }: Group): string {
  if (oldestAt === null) return ''
  return `The first ${of === 'work' ? 'was enqueued' : 'was given up'} ${formatShort(oldestAt)}`
}
