import type { KeyedSchedule, KeyedTick } from '@roundsman/admin/contract'
import { keepPreviousData, useQuery } from '@tanstack/react-query'
import { getRouteApi, Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'
import { ActButton } from '../../actions/ActButton.tsx'
import { useAction } from '../../actions/useAction.ts'
import { ApiError } from '../../api/apiError.ts'
import { scheduleQuery, scheduleTicksQuery } from '../../api/queries.ts'
import { ActionLog } from '../../parts/ActionLog.tsx'
import { DataTable, type Column } from '../../parts/DataTable.tsx'
import { EmptyState } from '../../parts/EmptyState.tsx'
import { Fact } from '../../parts/Fact.tsx'
import { Menu } from '../../parts/Menu.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Pager } from '../../parts/Pager.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { QueryView } from '../../parts/QueryView.tsx'
import { ScreenHeader } from '../../parts/ScreenHeader.tsx'
import { Skeleton } from '../../parts/Skeleton.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'
import { formatShort } from '../../time/formatExact.ts'
import { describeMissed, OVERLAP } from '../job/Policies.tsx'
import { NextRuns } from './NextRuns.tsx'
import { ScheduleState } from './ScheduleState.tsx'
import { TickOutcome } from './TickOutcome.tsx'

const route = getRouteApi('/jobs/$name/schedules/$key')

/** One schedule that is kept as data: what it says, when it is due, what became of its ticks, and who changed it. */
export function ScheduleScreen(): ReactNode {
  const { api } = useServices()
  const { name, key } = route.useParams()
  const detail = useQuery(scheduleQuery(api, { name, key }))
  const isUnknown = detail.error instanceof ApiError && detail.error.status === 404
  return (
    <>
      <ScreenHeader
        title={key}
        lead={
          <p className="muted">
            <Link to="/jobs/$name/schedules" params={{ name }}>
              Schedules of {name}
            </Link>
          </p>
        }
      >
        {detail.data?.schedule && <ScheduleActions schedule={detail.data.schedule} />}
      </ScreenHeader>
      {isUnknown ? (
        <EmptyState title="There is no schedule with this key" />
      ) : (
        <QueryView query={detail} skeleton={<Skeleton kind="panel" />}>
          {({ schedule, upcoming, actions }) => (
            <div className="columns isAsideFirst">
              <div className="column">
                <Ticks name={name} timeZone={schedule?.timeZone} />
                <Panel title="Activity">
                  <ActionLog actions={actions} />
                </Panel>
              </div>
              {schedule === null ? (
                <div className="column">
                  <EmptyState title="This schedule was deleted">
                    <p>Its ticks and runs are kept for a while.</p>
                  </EmptyState>
                </div>
              ) : (
                <div className="column">
                  <Panel title="Schedule" aside={<ScheduleState schedule={schedule} />}>
                    <Definition schedule={schedule} />
                  </Panel>
                  <Panel title="Next runs">
                    {schedule.paused === null ? (
                      <NextRuns upcoming={upcoming} timeZone={schedule.timeZone} />
                    ) : (
                      <p className="muted">Paused: resume it to see when it is due.</p>
                    )}
                  </Panel>
                </div>
              )}
            </div>
          )}
        </QueryView>
      )}
    </>
  )
}

function ScheduleActions({ schedule: { name, key, paused } }: { schedule: KeyedSchedule }) {
  const act = useAction()
  if (act === null) return null
  return (
    <>
      {paused !== null && (
        <ActButton look="isPrimary" action={{ kind: 'resumeKey', name, key }}>
          Resume
        </ActButton>
      )}
      <ActButton action={{ kind: 'runOfKey', name, key }}>Run now</ActButton>
      <Menu
        label={`Actions for ${key}`}
        items={[
          paused === null && {
            label: 'Pause',
            onChoose: () => act({ kind: 'pauseKey', name, key }),
          },
          {
            label: 'Change',
            link: { to: '/jobs/$name/schedules/$key/change', params: { name, key } },
          },
          {
            label: 'Delete',
            isDangerous: true,
            onChoose: () => act({ kind: 'deleteKey', name, key }),
          },
        ]}
      />
    </>
  )
}

function Definition({ schedule }: { schedule: KeyedSchedule }) {
  const { cron, words, timeZone, missed, overlap, jitterMs, catchUpMs } = schedule
  const { startsAt, endsAt, paused, version, createdAt, updatedAt } = schedule
  return (
    <>
      {paused !== null && (
        <p className="note">
          Paused <Moment at={paused.at} />
          {paused.by !== null && ` by ${paused.by}`}
          {paused.reason !== null && paused.reason !== '' && `: ${paused.reason}`}
        </p>
      )}
      <dl className="facts">
        <Fact name="When">
          {words} <code>{cron}</code>
        </Fact>
        <Fact name="Time zone">{timeZone}</Fact>
        {startsAt !== null && (
          <Fact name="From">
            <Moment at={startsAt} timeZone={timeZone} isToCome>
              {formatShort(startsAt, timeZone)}
            </Moment>
          </Fact>
        )}
        {endsAt !== null && (
          <Fact name="Until">
            <Moment at={endsAt} timeZone={timeZone} isToCome>
              {formatShort(endsAt, timeZone)}
            </Moment>
          </Fact>
        )}
        <Fact name="Missed ticks">{describeMissed(missed, catchUpMs)}</Fact>
        <Fact name="If one still runs">{OVERLAP[overlap]}</Fact>
        {jitterMs > 0 && (
          <Fact name="Spread">
            Starts up to {formatDuration(jitterMs)} later, always by the same delay
          </Fact>
        )}
        <Fact name="Version">
          {version}, changed <Moment at={updatedAt} />, created <Moment at={createdAt} />
        </Fact>
      </dl>
    </>
  )
}

/** The ledger of the schedule. `timeZone`: whose clocks show, unless it is gone. */
function Ticks({ name, timeZone }: { name: string; timeZone: string | undefined }) {
  const { api } = useServices()
  const { key } = route.useParams()
  const { cursor } = route.useSearch()
  const ticks = useQuery({
    ...scheduleTicksQuery(api, { name, key }, cursor),
    placeholderData: keepPreviousData,
  })
  return (
    <Panel title="Ticks" className="isFlush" aside={<span className="muted">{timeZone}</span>}>
      <QueryView query={ticks} skeleton={<Skeleton kind="row" count={5} />}>
        {({ ticks: rows, nextCursor }) => (
          <>
            {rows.length === 0 ? (
              <EmptyState title="No ticks on record" />
            ) : (
              <DataTable
                caption={`Ticks of ${key}`}
                columns={tickColumns(timeZone)}
                rows={rows}
                keyOf={({ scheduledFor }) => scheduledFor}
              />
            )}
            <Pager
              label="Pages of ticks"
              cursor={cursor}
              nextCursor={nextCursor}
              words={['Newest', 'Older']}
              pageAt={(at) => ({
                to: '/jobs/$name/schedules/$key',
                params: { name, key },
                search: { cursor: at },
              })}
            />
          </>
        )}
      </QueryView>
    </Panel>
  )
}

const tickColumns = (timeZone: string | undefined): readonly Column<KeyedTick>[] => [
  {
    header: 'Due',
    isRowHeader: true,
    isPlain: true,
    cell: ({ scheduledFor, through }) => (
      <>
        <Moment at={scheduledFor} isToCome {...(timeZone !== undefined && { timeZone })}>
          {formatShort(scheduledFor, timeZone)}
        </Moment>
        {through !== null && <span className="muted"> to {formatShort(through, timeZone)}</span>}
      </>
    ),
  },
  { header: 'Outcome', isPlain: true, cell: (tick) => <TickOutcome tick={tick} /> },
  {
    header: 'Reason',
    isWide: true,
    isFull: true,
    isEmpty: ({ reason }) => reason === null,
    cell: ({ reason }) => reason ?? <span className="muted">–</span>,
  },
  { header: 'Version', align: 'end', cell: ({ version }) => version },
]
