import type { RunOutcome, WorkExplanation, WorkStep } from '@roundsman/admin/contract'
import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { ActButton } from '../../actions/ActButton.tsx'
import { stepsQuery } from '../../api/queries.ts'
import { Moment } from '../../parts/Moment.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { StatusMark } from '../../parts/StatusMark.tsx'
import { useClock } from '../../services/useClock.ts'
import { useServices } from '../../services/useServices.ts'
import { formatDuration } from '../../time/formatDuration.ts'

interface StepsPanelProps {
  work: Pick<WorkExplanation, 'workId' | 'label'> & { name: string; state: string }
  /** How many workers have died while they ran it. */
  losses?: number
}

const MARKS = {
  done: ['success', 'Done'],
  failed: ['failed', 'Failed'],
  waiting: ['suspended', 'Waits'],
  inDoubt: ['lost', 'May have happened'],
  retrying: ['expired', 'Tried again'],
} as const satisfies Record<WorkStep['state'], [RunOutcome, string]>

const titleOf = ({ name, item }: Pick<WorkStep, 'name' | 'item'>) =>
  item === '' ? name : `${name} ${item}`

/** The steps of durable work over all its runs, on one axis of time; nothing for a job without steps. */
export function StepsPanel({ work, losses = 0 }: StepsPanelProps) {
  const { api } = useServices()
  const { data } = useQuery(stepsQuery(api, work.workId))
  const now = useClock((at) => Math.floor(at / 1_000) * 1_000)
  if (data === undefined || (data.names.length === 0 && data.steps.length === 0)) return null
  const { names, steps } = data
  const isLetter = work.state === 'deadLetter'
  const span = spanOf(steps, now)
  const ended = steps.filter(({ endedAt }) => endedAt !== null)
  const toCome = names.filter((name) => !steps.some((step) => step.name === name))
  const redrive = { kind: 'redrive', name: work.name, workId: work.workId, losses } as const
  const retry = { ...redrive, label: work.label }
  return (
    <Panel title="Steps" aside={<span className="muted">{describeProgress(names, steps)}</span>}>
      {isLetter && ended.length > 0 && (
        <ActButton action={{ ...retry, from: { first: 'beginning', again: ended.map(titleOf) } }}>
          Retry from the beginning
        </ActButton>
      )}
      <ol className="stepLines">
        {steps.map((step) => (
          <li key={JSON.stringify([step.name, step.item])} className="stepLine">
            <span className="stepName isWrapped">
              {step.name} {step.item !== '' && <span className="muted">{step.item}</span>}
            </span>
            <StatusMark status={MARKS[step.state][0]} label={MARKS[step.state][1]} />
            <span className="stepTrack" aria-hidden="true">
              <span className={barOf(step)} style={placeOf(step, span, now)} />
            </span>
            <span className="stepNotes muted">
              <Notes step={step} />
            </span>
            <Contents step={step} />
            {step.state === 'inDoubt' && <Doubt step={step} work={work} />}
            {isLetter && step.endedAt !== null && (
              <ActButton
                aria-label={`Retry from ${titleOf(step)}`}
                action={{
                  ...retry,
                  from: {
                    first: { step: step.name, item: step.item },
                    again: ended.slice(ended.indexOf(step)).map(titleOf),
                  },
                }}
              >
                Retry from here
              </ActButton>
            )}
          </li>
        ))}
        {toCome.map((name) => (
          <li key={name} className="stepLine isToCome">
            <span className="stepName isWrapped">{name}</span>
            <span className="muted">Not yet</span>
          </li>
        ))}
      </ol>
    </Panel>
  )
}

function describeProgress(names: readonly string[], steps: readonly WorkStep[]): string {
  const open = new Set(steps.flatMap(({ name, state }) => (state === 'done' ? [] : [name])))
  const done = names.filter((name) => !open.has(name) && steps.some((step) => step.name === name))
  return `${done.length} of ${names.length} done`
}

interface Span {
  from: number
  ms: number
}

function spanOf(steps: readonly WorkStep[], now: number): Span {
  const from = Math.min(now, ...steps.map(({ startedAt }) => Date.parse(startedAt)))
  const to = Math.max(from + 1, ...steps.map((step) => endOf(step, now)))
  return { from, ms: to - from }
}

const endOf = ({ endedAt }: WorkStep, now: number) => (endedAt === null ? now : Date.parse(endedAt))
const isWait = ({ kind }: WorkStep) => kind !== 'run' && kind !== 'tx'
const barOf = (step: WorkStep) => `stepBar is-${step.state}${isWait(step) ? ' isWait' : ''}`

function placeOf(step: WorkStep, { from, ms }: Span, now: number) {
  const start = Date.parse(step.startedAt)
  const width = (Math.max(0, endOf(step, now) - start) / ms) * 100
  return { left: `${((start - from) / ms) * 100}%`, width: `${width}%` }
}

/** When, how long, how often, for what, and who said so. */
function Notes({ step }: { step: WorkStep }) {
  const { startedAt, endedAt, until, signal, key, attempts, answered, runId, state } = step
  return (
    <>
      <Moment at={startedAt} />
      {endedAt !== null && `, ${formatDuration(Date.parse(endedAt) - Date.parse(startedAt))}`}
      {signal !== null && `, for the signal ${signal} of ${key ?? ''}`}
      {state === 'waiting' && until !== null && (
        <>
          , ends <Moment at={until} isToCome />
        </>
      )}
      {attempts > 1 && `, ${attempts} attempts`},{' '}
      <Link to="/runs/$id" params={{ id: runId }}>
        run
      </Link>
      {answered !== null && (
        <>
          . {answered.actor} said <Moment at={answered.at} /> that it{' '}
          {answered.happened ? 'did' : 'did not'} happen
          {answered.reason !== null && `: ${answered.reason}`}
        </>
      )}
    </>
  )
}

function Contents({ step: { error, result, isResultCut } }: { step: WorkStep }) {
  if (error !== null)
    return (
      <span className="stepNotes isWrapped">
        <code>{error.code}</code> {error.message}
      </span>
    )
  if (isResultCut)
    return <span className="stepNotes muted">Its result is too long to be shown</span>
  return result == null ? null : (
    <code className="stepNotes isWrapped">{JSON.stringify(result)}</code>
  )
}

function Doubt(props: { step: WorkStep; work: StepsPanelProps['work'] }) {
  const { name, workId } = props.work
  const { name: step, item } = props.step
  const answer = { kind: 'answerDoubt', name, workId, step, item } as const
  return (
    <span className="stepActs">
      <ActButton action={{ ...answer, happened: true }}>It did</ActButton>
      <ActButton action={{ ...answer, happened: false }}>It did not</ActButton>
    </span>
  )
}
