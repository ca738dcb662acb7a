import type { RunOutcome, WorkExplanation, WorkStep } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useState, type ReactNode } from 'react'
import { ActButton } from '../../actions/ActButton.tsx'
import { useShowPayload } from '../../actions/ShowPayload.tsx'
import { stepsQuery } from '../../api/queries.ts'
import { Button } from '../../parts/Button.tsx'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { ProgressBar } from '../../parts/ProgressBar.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { useClock } from '../../services/useClock.ts'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'

interface StepsPanelProps {
  work: Pick<WorkExplanation, 'workId' | 'label'> & { name: string }
  /** How many workers have died while they ran it. */
  losses?: number
}

type Work = StepsPanelProps['work']

const titleOf = ({ name, item }: Pick<WorkStep, 'name' | 'item'>) =>
  item === '' ? name : `${name} ${item}`

/** Of more steps than this only the last ones are shown at first. */
const MANY = 40
const SHOWN_OF_MANY = 30

/** The steps of durable work over all its runs, on one axis of time; nothing for a job without steps. */
export function StepsPanel({ work, losses = 0 }: StepsPanelProps) {
  const { api } = useServices()
  const { data } = useQuery(stepsQuery(api, work.workId))
  const [areAllShown, setAllShown] = useState(false)
  const showPayload = useShowPayload()
  if (data === undefined || (data.names.length === 0 && data.steps.length === 0)) return null
  const { names, steps, state } = data
  const hidden = areAllShown || steps.length <= MANY ? 0 : steps.length - SHOWN_OF_MANY
  const isLetter = state === 'deadLetter'
  const isRunning = state === 'running'
  const ended = steps.filter(({ endedAt }) => endedAt !== null)
  const toCome = names.filter((name) => !steps.some((step) => step.name === name))
  const retryFrom = (first: 'beginning' | { step: string; item: string }, again: WorkStep[]) => ({
    ...({ kind: 'redrive', name: work.name, workId: work.workId, losses } as const),
    ...{ label: work.label, from: { first, again: again.map(titleOf) } },
  })
  return (
    <Panel title="Steps" aside={<span className="muted">{describeProgress(names, steps)}</span>}>
      {isLetter && ended.length > 0 && (
        <p>
          <ActButton action={retryFrom('beginning', ended)}>Retry from the beginning</ActButton>
        </p>
      )}
      {hidden > 0 && (
        <p>
          <Button onClick={() => setAllShown(true)}>
            Show {hidden.toLocaleString('en')} earlier steps
          </Button>
        </p>
      )}
      <Timeline steps={steps.slice(hidden)}>
        {(step, bar) => (
          <li key={JSON.stringify([step.name, step.item])} className="stepLine">
            <span className="stepName isWrapped">
              {step.name} {step.item !== '' && <span className="muted">{step.item}</span>}
            </span>
            {bar}
            <Became step={step} isRunning={isRunning} />
            <Notes step={step} work={work} />
            {step.error !== null && (
              <p className="stepNotes isWrapped">
                <code>{step.error.code}</code> {step.error.message}
              </p>
            )}
            {step.hasResult && showPayload !== null && (
              <span className="stepActs">
                <Button
                  look="isQuiet"
                  aria-label={`Show result: ${titleOf(step)}`}
                  onClick={() =>
                    showPayload({
                      ...{ of: `work/${work.workId}`, name: titleOf(step) },
                      step: { step: step.name, item: step.item },
                    })
                  }
                >
                  Show result
                </Button>
              </span>
            )}
            {step.state === 'inDoubt' && !isRunning && <Doubt step={step} work={work} />}
            {isLetter && step.endedAt !== null && (
              <span className="stepActs">
                <ActButton
                  look="isQuiet"
                  aria-label={`Retry from here: ${titleOf(step)}`}
                  action={retryFrom(
                    { step: step.name, item: step.item },
                    ended.slice(ended.indexOf(step)),
                  )}
                >
                  Retry from here
                </ActButton>
              </span>
            )}
          </li>
        )}
      </Timeline>
      {toCome.length > 0 && (
        <ol className="stepLines" aria-label="Steps to come">
          {toCome.map((name) => (
            <li key={name} className="stepLine isToCome">
              <span className="stepName isWrapped">{name}</span>
              <span className="muted">
                {isRunning || state === 'waiting' ? 'Not yet' : 'Not called'}
              </span>
            </li>
          ))}
        </ol>
      )}
      {showPayload === null && steps.length > 0 && (
        <p className="muted small stepHint">
          Results and messages of errors are shown to people who may see payloads.
        </p>
      )}
    </Panel>
  )
}

/** How many of the steps that the job names are done; without names how many have ended. */
function describeProgress(names: readonly string[], steps: readonly WorkStep[]): string {
  const isDone = ({ state }: WorkStep) => state === 'done'
  if (names.length === 0) return `${steps.filter(isDone).length.toLocaleString('en')} done`
  const areDone = (name: string) => {
    const calls = steps.filter((step) => step.name === name)
    return calls.length > 0 && calls.every(isDone)
  }
  return `${names.filter(areDone).length} of ${names.length} done`
}

interface TimelineProps {
  steps: readonly WorkStep[]
  /** A line of the list, with the bar of its step. */
  children: (step: WorkStep, bar: ReactNode) => ReactNode
}

/** Lines with the bars of steps on one axis. It is not to scale, so each line has its duration. */
function Timeline({ steps, children }: TimelineProps) {
  const isOpen = steps.some(({ endedAt }) => endedAt === null)
  const now = useClock((at) => (isOpen ? Math.floor(at / 1_000) * 1_000 : 0))
  const endOf = ({ startedAt, endedAt }: WorkStep) =>
    endedAt === null ? Math.max(now, Date.parse(startedAt)) : Date.parse(endedAt)
  const spans = steps.map((step) => ({ from: Date.parse(step.startedAt), to: endOf(step) }))
  const instants = spans.flatMap(({ from, to }) => [from, to]).toSorted((one, two) => one - two)
  const place = placeOn(instants)
  const [first, last] = [instants[0], instants.at(-1)]
  return (
    <>
      {first !== undefined && last !== undefined && (
        <p className="stepAxis muted small">
          <Moment at={new Date(first).toISOString()} />
          {isOpen ? 'now' : <Moment at={new Date(last).toISOString()} />}
        </p>
      )}
      <ol className="stepLines" aria-label="Steps so far">
        {steps.map((step, at) => {
          const { from, to } = spans[at] as (typeof spans)[number]
          const style = {
            // As wide as a bar is at least, it stays within.
            left: `calc((100% - 4px) * ${place(from) / 100})`,
            width: `${place(to) - place(from)}%`,
          }
          return children(
            step,
            <span className="stepTrack" aria-hidden="true">
              <span className={barOf(step)} style={style} />
            </span>,
          )
        })}
      </ol>
    </>
  )
}

/**
 * Places instants between 0 and 100, in their order. The longer the time between two, the more room they have, and less than their
 * share: beside a wait of two weeks no call would be seen.
 */
function placeOn(instants: readonly number[]): (at: number) => number {
  const places = new Map<number, number>()
  let sum = 0
  instants.forEach((at, index) => {
    sum += (at - (instants[index - 1] ?? at)) ** 0.25
    places.set(at, sum)
  })
  return (at) => (sum === 0 ? 0 : ((places.get(at) ?? 0) / sum) * 100)
}

const isCall = ({ kind }: WorkStep) => kind === 'run' || kind === 'tx'
const isCancelled = ({ error }: WorkStep) => error?.code === 'cancelled'

function barOf(step: WorkStep): string {
  return `stepBar is-${isCancelled(step) ? 'cancelled' : step.state}${isCall(step) ? '' : ' isWait'}`
}

/** What has become of a step, how long it took, and since when. The instant leads to the run that wrote it last. */
function Became({ step, isRunning }: { step: WorkStep; isRunning: boolean }) {
  const { startedAt, endedAt, runId } = step
  const [mark, words] = describeState(step, isRunning)
  const took = endedAt === null ? '' : formatDuration(Date.parse(endedAt) - Date.parse(startedAt))
  return (
    <>
      <StatusMark status={mark} label={took === '' ? words : `${words} ${took}`} />
      <Link to="/runs/$id" params={{ id: runId }} className="stepWhen">
        <Moment at={startedAt} isInControl />
        <span className="srOnly">, the run with {titleOf(step)}</span>
      </Link>
    </>
  )
}

/** The words stand before a duration, where the step has ended. */
function describeState(step: WorkStep, isRunning: boolean): [RunOutcome, string] {
  const { kind, state, answer } = step
  switch (state) {
    case 'done':
      if (kind === 'sleep') return ['success', 'Slept']
      if (kind === 'wait' && answer === null) return ['expired', 'Timed out after']
      return kind === 'wait' ? ['success', 'Signalled after'] : ['success', 'Done in']
    case 'failed':
      return isCancelled(step) ? ['cancelled', 'Cancelled after'] : ['failed', 'Failed after']
    case 'waiting':
      return ['suspended', kind === 'sleep' ? 'Sleeps' : 'Waits']
    case 'inDoubt':
      return isRunning ? ['running', 'Under way'] : ['lost', 'May have happened']
    case 'retrying':
      return ['expired', 'Is tried again']
    default:
      return state satisfies never
  }
}

/** For what it waits, how often it was called, and who has sent or said something. */
function Notes({ step, work }: { step: WorkStep; work: Work }) {
  const { name, item, kind, startedAt, state, until, signal, key, attempts, answer, children } =
    step
  const isOpen = state === 'waiting'
  const notes: ReactNode[] = []
  if (signal !== null)
    notes.push(
      <>
        Signal <code>{signal}</code> of {key}
      </>,
    )
  if (isOpen && until !== null)
    notes.push(
      <>
        {kind === 'sleep' ? 'until' : 'times out'} <Moment at={until} isToCome />
      </>,
    )
  if (attempts > 1) notes.push(`${attempts} attempts`)
  if (answer !== null) notes.push(<Answer answer={answer} />)
  if (notes.length === 0 && children === null) return null
  return (
    <div className="stepNotes isWrapped">
      {notes.map((note, at) => (
        <span key={at} className="muted">
          {note}
        </span>
      ))}
      {children !== null && <Children step={step} of={children} work={work} />}
      {isOpen && signal !== null && key !== null && (
        <ActButton
          action={{
            ...({ kind: 'sendSignal', name: work.name, signal, key } as const),
            // So that it is sent once, also where two people send it.
            id: `${work.workId} ${startedAt} ${name}`,
          }}
          aria-label={`Send the signal ${signal} of ${key}${item && ` to ${item}`}`}
        >
          Send the signal
        </ActButton>
      )}
    </div>
  )
}

function Answer({ answer }: { answer: NonNullable<WorkStep['answer']> }) {
  const { at, actor, reason, happened } = answer
  const who = actor === null ? 'Sent by code' : actor
  const what = happened === null ? 'sent it' : `said that it ${happened ? 'did' : 'did not'} happen`
  return (
    <>
      {who} {actor !== null && what} <Moment at={at} />
      {reason !== null && `: ${reason}`}
    </>
  )
}

function Children(props: {
  step: WorkStep
  of: NonNullable<WorkStep['children']>
  work: Pick<Work, 'workId'>
}) {
  const { job, count, failed, left } = props.of
  const { name: step, item } = props.step
  return (
    <>
      <ProgressBar progress={{ done: count - left, total: count }} label={`Work of ${job}`} />
      {failed > 0 && <StatusMark status="failed" label={`${failed.toLocaleString('en')} failed`} />}
      {left > 0 && <span className="muted">{left.toLocaleString('en')} left</span>}
      <Link
        to="/waiting/$id/children"
        params={{ id: props.work.workId }}
        search={{ step, ...(item !== '' && { item }) }}
      >
        Its work of {job}
      </Link>
    </>
  )
}

function Doubt({ step: { name: step, item }, work }: { step: WorkStep; work: Work }) {
  const { name, workId } = work
  const answer = { kind: 'answerDoubt', name, workId, step, item } as const
  return (
    <span className="stepActs">
      <ActButton action={{ ...answer, happened: true }}>It did</ActButton>
      <ActButton action={{ ...answer, happened: false }}>It did not</ActButton>
    </span>
  )
}
