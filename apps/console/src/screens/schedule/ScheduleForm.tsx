import type { KeyedSchedule } from '@roundsman/admin/contract'
import { keepPreviousData, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { useNavigate } from '@tanstack/react-router'
import { useEffect, useId, useRef, useState, type SubmitEvent } from 'react'
import { Button } from '../../parts/Button.tsx'
import {
  parsePayload,
  payloadProblems,
  payloadSkeleton,
  takesNothing,
} from '../../actions/payload.ts'
import { PayloadField } from '../../actions/PayloadField.tsx'
import { readReason, ReasonField } from '../../actions/ReasonField.tsx'
import { ApiError, asApiError } from '../../api/apiError.ts'
import { payloadQuery, previewQuery } from '../../api/queries.ts'
import { InputField, SelectField } from '../../parts/Field.tsx'
import { InstantField } from '../../parts/InstantField.tsx'
import { Panel } from '../../parts/Panel.tsx'
import { Problem } from '../../parts/Problem.tsx'
import { useServices } from '../../services/useServices.ts'
import { isBesideSession } from '../../session/sessionQuery.ts'
import { formatDuration, parseDuration } from '../../time/formatDuration.ts'
import { MISSED, OVERLAP } from '../job/Policies.tsx'
import { NextRuns } from './NextRuns.tsx'

export interface ScheduleFormProps {
  name: string
  /** The one to change; absent for a new one. */
  schedule?: KeyedSchedule
}

/** What is wrong, by the name of the field. */
type FieldProblems = Readonly<Record<string, string>>

/** What somebody has typed. Instants are ISO 8601. */
interface Typed {
  key: string
  cron: string
  timeZone: string
  startsAt: string | undefined
  endsAt: string | undefined
  missed: KeyedSchedule['missed']
  overlap: KeyedSchedule['overlap']
  jitter: string
  catchUp: string
}

const DAY_MS = 86_400_000
const SETTLE_MS = 400
const OVERLAPS = ['skip', 'allow'] as const
const MISSED_POLICIES = ['once', 'all', 'skip'] as const

/** Makes a schedule or changes it, then shows it. While somebody types, it shows when it would be due. */
export function ScheduleForm({ name, schedule }: ScheduleFormProps) {
  const { api } = useServices()
  const navigate = useNavigate()
  const queries = useQueryClient()
  const zones = useId()
  const [typed, setTyped] = useState(() => initial(schedule))
  const [problems, setProblems] = useState<FieldProblems>({})
  const [ofPayload, setOfPayload] = useState('')
  const [isPayloadNew, setPayloadNew] = useState(schedule === undefined)
  const wanted = useQuery({ ...payloadQuery(api, name), staleTime: Infinity })
  const schema = wanted.data?.schema ?? null
  const isSent = useRef(false)
  const change = (part: Partial<Typed>) => setTyped({ ...typed, ...part })
  const preview = usePreview(typed)
  const told = { ...preview.problems, ...problems }

  const save = useMutation({
    mutationFn: (body: object) =>
      api.change<unknown>('POST', `/jobs/named/${encodeURIComponent(name)}/schedules`, body),
    onError: (error) => {
      const { issues } = asApiError(error)
      setProblems(byField(issues, 'body'))
      setOfPayload(payloadProblems(issues))
    },
    onSuccess: () => {
      void queries.invalidateQueries({ predicate: isBesideSession })
      void navigate({ to: '/jobs/$name/schedules/$key', params: { name, key: typed.key } })
    },
    onSettled: () => {
      isSent.current = false
    },
  })

  function submit(event: SubmitEvent<HTMLFormElement>): void {
    event.preventDefault()
    // The second of two clicks may come before the button is disabled.
    if (isSent.current) return
    const form = new FormData(event.currentTarget)
    const read = isPayloadNew ? parsePayload(form.get('payload')) : null
    const [jitterMs, catchUpMs] = [parseDuration(typed.jitter), parseDuration(typed.catchUp)]
    const isWrong = 'Such as 30 s, 5 min or 2 h'
    const own = {
      ...(jitterMs === null && { jitterMs: isWrong }),
      ...(catchUpMs === null && { catchUpMs: isWrong }),
    }
    setProblems(own)
    setOfPayload(read !== null && 'problem' in read ? read.problem : '')
    if (Object.keys(own).length > 0 || (read !== null && 'problem' in read)) {
      save.reset()
      return
    }
    isSent.current = true
    const { key, cron, timeZone, missed, overlap, startsAt = null, endsAt = null } = typed
    save.mutate({
      ...{ key, cron, timeZone, missed, overlap, startsAt, endsAt, jitterMs, catchUpMs },
      ...(read !== null && { payload: read.payload }),
      ...(hasSeconds(schedule) && { allowSeconds: true }),
      ifVersion: schedule?.version ?? 0,
      reason: readReason(form),
    })
  }

  const hint = (field: string, text?: string) => ({
    hint: told[field] ?? text,
    isWrong: told[field] !== undefined,
  })
  const isTold = Object.keys(problems).length > 0 || ofPayload !== ''
  return (
    <div className="columns">
      <form className="panel dialogForm" aria-label="Schedule" onSubmit={submit}>
        {schedule === undefined && (
          <InputField
            label="Key"
            {...hint('key', 'What it is for, such as the id of a customer.')}
            value={typed.key}
            required
            maxLength={200}
            spellCheck={false}
            onChange={({ target }) => change({ key: target.value })}
          />
        )}
        <InputField
          label="When, as a cron expression"
          {...hint('cron', preview.data?.words ?? 'Minute, hour, day, month, weekday: 0 9 * * 1')}
          value={typed.cron}
          required
          className="code"
          spellCheck={false}
          onChange={({ target }) => {
            setProblems({})
            change({ cron: target.value })
          }}
        />
        <InputField
          label="Time zone"
          {...hint('timeZone', 'Such as Europe/Lisbon.')}
          value={typed.timeZone}
          required
          list={zones}
          spellCheck={false}
          onChange={({ target }) => {
            setProblems({})
            change({ timeZone: target.value })
          }}
        />
        <datalist id={zones}>
          {Intl.supportedValuesOf('timeZone').map((zone) => (
            <option key={zone}>{zone}</option>
          ))}
        </datalist>
        {isPayloadNew ? (
          !wanted.isPending &&
          !takesNothing(schema) && (
            <PayloadField
              initial={payloadSkeleton(schema)}
              hint="Payloads are not shown."
              problem={ofPayload}
              schema={schema}
            />
          )
        ) : (
          <p className="muted">
            The payload does not change, and is not shown.{' '}
            <Button onClick={() => setPayloadNew(true)}>Give another</Button>
          </p>
        )}
        <details className="moreFields" open={MORE.some((field) => told[field] !== undefined)}>
          <summary>More: from, until, missed ticks, overlap, spread</summary>
          <div className="dialogForm">
            <InstantField
              label="From, on your clock"
              value={typed.startsAt}
              onChange={(startsAt) => change({ startsAt })}
            />
            <InstantField
              label="Until, on your clock"
              value={typed.endsAt}
              onChange={(endsAt) => change({ endsAt })}
            />
            {told['startsAt'] !== undefined && (
              <p className="fieldError">From: {told['startsAt']}</p>
            )}
            {told['endsAt'] !== undefined && <p className="fieldError">Until: {told['endsAt']}</p>}
            <Choice
              label="Missed ticks"
              {...hint('missed')}
              value={typed.missed}
              choices={MISSED_POLICIES}
              words={MISSED}
              onChange={(missed) => change({ missed })}
            />
            <InputField
              label="How far back they are run"
              {...hint('catchUpMs')}
              value={typed.catchUp}
              onChange={({ target }) => change({ catchUp: target.value })}
            />
            <Choice
              label="If one still runs"
              {...hint('overlap')}
              value={typed.overlap}
              choices={OVERLAPS}
              words={OVERLAP}
              onChange={(overlap) => change({ overlap })}
            />
            <InputField
              label="Spread"
              {...hint('jitterMs', 'Starts up to so much later, so that not all begin at once.')}
              value={typed.jitter}
              onChange={({ target }) => change({ jitter: target.value })}
            />
          </div>
        </details>
        <ReasonField />
        {save.isError && !isTold && <Problem error={save.error} />}
        <div className="dialogActions">
          <Button type="submit" look="isPrimary" disabled={save.isPending || wanted.isPending}>
            {save.isPending ? 'Sending…' : schedule === undefined ? 'Add it' : 'Save'}
          </Button>
        </div>
      </form>
      <Panel title="Next runs">
        <div aria-live="polite" aria-busy={preview.isBehind}>
          {preview.data === undefined ? (
            <p className="muted">Listed once the cron expression and the time zone are valid.</p>
          ) : (
            <NextRuns upcoming={preview.data.upcoming} timeZone={preview.data.timeZone} />
          )}
        </div>
      </Panel>
    </div>
  )
}

const MORE = ['startsAt', 'endsAt', 'missed', 'catchUpMs', 'overlap', 'jitterMs'] as const

interface ChoiceProps<Value extends string> {
  label: string
  hint?: string | undefined
  isWrong: boolean
  value: Value
  choices: readonly Value[]
  words: Readonly<Record<Value, string>>
  onChange: (value: Value) => void
}

function Choice<Value extends string>(props: ChoiceProps<Value>) {
  const { label, hint, isWrong, value, choices, words, onChange } = props
  return (
    <SelectField
      label={label}
      hint={hint}
      isWrong={isWrong}
      value={value}
      onChange={({ target }) =>
        onChange(choices.find((choice) => choice === target.value) ?? value)
      }
    >
      {choices.map((choice) => (
        <option key={choice} value={choice}>
          {words[choice]}
        </option>
      ))}
    </SelectField>
  )
}

/** Asks when what was typed would be due, once somebody stops typing. */
function usePreview({ cron, timeZone, startsAt, endsAt }: Typed) {
  const { api } = useServices()
  const text = JSON.stringify({
    cron: cron.trim(),
    timeZone: timeZone.trim(),
    ...(startsAt !== undefined && { startsAt }),
    ...(endsAt !== undefined && { endsAt }),
  })
  const [settled, setSettled] = useState(text)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(text), SETTLE_MS)
    return () => clearTimeout(timer)
  }, [text])
  const wanted = JSON.parse(settled) as Record<string, string>
  const isWhole = wanted['cron'] !== '' && wanted['timeZone'] !== ''
  const preview = useQuery({
    ...previewQuery(api, wanted),
    enabled: isWhole,
    placeholderData: keepPreviousData,
  })
  const error = isWhole && settled === text ? preview.error : null
  const data = isWhole && preview.error === null ? preview.data : undefined
  return {
    data,
    isBehind: settled !== text || preview.isFetching,
    problems: error instanceof ApiError ? byField(error.issues, 'query') : {},
  }
}

/** What the server says of each part of a request. */
function byField(issues: ApiError['issues'], place: string): FieldProblems {
  return Object.fromEntries(
    issues
      .filter(({ path }) => path.startsWith(`${place}.`) && !path.startsWith(`${place}.payload`))
      .map(({ path, message }) => [
        path.slice(place.length + 1),
        message.charAt(0).toUpperCase() + message.slice(1),
      ]),
  )
}

function initial(schedule: KeyedSchedule | undefined): Typed {
  return {
    key: schedule?.key ?? '',
    cron: schedule?.cron ?? '',
    timeZone: schedule?.timeZone ?? Intl.DateTimeFormat().resolvedOptions().timeZone,
    startsAt: schedule?.startsAt ?? undefined,
    endsAt: schedule?.endsAt ?? undefined,
    missed: schedule?.missed ?? 'once',
    overlap: schedule?.overlap ?? 'skip',
    jitter: schedule === undefined ? '0 s' : formatDuration(schedule.jitterMs),
    catchUp: formatDuration(schedule?.catchUpMs ?? DAY_MS),
  }
}

/** A program has allowed it more than one tick a minute. */
function hasSeconds(schedule: KeyedSchedule | undefined): boolean {
  return schedule?.cron.trim().split(/\s+/).length === 6
}
