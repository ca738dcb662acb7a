import type { LinkedRun, RunDetail } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import { Due } from '../../parts/Due.tsx'
import { Fact } from '../../parts/Fact.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'

/** Whether it is known what enqueued the work of a run. */
export function saysOrigin({ enqueuedBy, links }: RunDetail): boolean {
  return links.parent !== null || enqueuedBy !== null
}

/** What enqueued the work of a run, as rows of its facts. */
export function Origin({ run }: { run: RunDetail }) {
  const { name, key, enqueuedBy, traceId, uniqueKey, links } = run
  const { parent, again } = links
  const { traceUrl } = useServices().settings
  return (
    <>
      {again !== null && (
        <Fact name={again.isApproval ? 'Approved run' : 'Again of'}>
          <RunLink link={again} />{' '}
          <span className="muted">
            by {again.actor}, <Moment at={again.at} />
          </span>
        </Fact>
      )}
      {saysOrigin(run) && (
        <Fact name="Enqueued by" isWrapped>
          {parent !== null && <RunLink link={parent} />} {enqueuedBy}
        </Fact>
      )}
      {key !== null && (
        <Fact name="Key">
          <Link to="/jobs/$name/keys" params={{ name }} search={{ key }} className="isWrapped">
            {key}
          </Link>
        </Fact>
      )}
      {uniqueKey !== null && (
        <Fact name="Unique key">
          <code className="isWrapped">{uniqueKey}</code>
        </Fact>
      )}
      {traceId !== null && (
        <Fact name="Trace">
          {traceUrl === '' ? (
            <code className="isWrapped">{traceId}</code>
          ) : (
            <a href={traceUrl.replaceAll('{traceId}', encodeURIComponent(traceId))}>
              <code className="isWrapped">{traceId}</code>
            </a>
          )}
        </Fact>
      )}
    </>
  )
}

/** A link to a run, or its id where its record is gone. */
function RunLink({ link: { id, run } }: { link: { id: string; run: LinkedRun | null } }) {
  if (run === null)
    return (
      <>
        run <code className="isWrapped">{id}</code> <span className="muted">(no longer kept)</span>
      </>
    )
  return (
    <Link to="/runs/$id" params={{ id }}>
      run of {run.label === null ? run.name : `${run.name}: ${run.label}`}
    </Link>
  )
}

/** Says that other work with the label of a run started close to it: it may have been enqueued twice. */
export function SameLabel({ run }: { run: RunDetail }) {
  const { sameLabel } = run.links
  if (sameLabel.length === 0) return null
  return (
    <section className="problem isMild" aria-label="Same label">
      {sameLabel.map(({ id, startedAt, outcome }) => {
        const afterMs = Date.parse(startedAt) - Date.parse(run.startedAt)
        const distance =
          afterMs === 0
            ? 'at the same time as'
            : `${formatDuration(Math.abs(afterMs))} ${afterMs < 0 ? 'before' : 'after'}`
        return (
          <p key={id}>
            <Link to="/runs/$id" params={{ id }}>
              Another piece of work with this label
            </Link>{' '}
            started {distance} this one <StatusMark status={outcome} />
          </p>
        )
      })}
    </section>
  )
}

/** The work that came from a run. */
export function Children({ run }: { run: RunDetail }) {
  const { children, areChildrenCut } = run.links
  return (
    <>
      <ol className="lines">
        {children.map(({ workId, name, label, run: last, startAfter }) => {
          const title = label === null ? name : `${name}: ${label}`
          return (
            <li key={workId} className="lineItem">
              <span className="isWrapped">
                {last === null ? (
                  title
                ) : (
                  <Link to="/runs/$id" params={{ id: last.id }}>
                    {title}
                  </Link>
                )}
              </span>
              <span className="lineEnd">
                {last !== null && <StatusMark status={last.outcome} />}
                {startAfter === null ? (
                  last !== null && <Moment at={last.startedAt} />
                ) : (
                  <span className="muted">
                    waits, due <Due at={startAfter} />
                  </span>
                )}
              </span>
            </li>
          )
        })}
      </ol>
      {areChildrenCut && (
        <p className="muted small">
          {children.length === 0
            ? 'Too many to look through.'
            : `The first ${children.length}; there may be more.`}
        </p>
      )}
    </>
  )
}
