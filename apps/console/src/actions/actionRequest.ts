import { DANGEROUS_LOSSES, type Action } from './action.ts'

export interface ActionRequest {
  method: 'POST' | 'DELETE'
  path: string
  body?: unknown
}

export interface ActionInput {
  reason: string
  /** An object, for a job that takes one. Null: that of the run to be run again, which the queue still holds. */
  payload: Record<string, unknown> | null
  /** The number to set; null: the limit in the code. */
  value?: number | null
  /** The result of a step or the payload of a signal, as JSON; empty: it has none. */
  json?: string
}

/** Makes the request that does an action. */
export function actionRequest(action: Action, input: ActionInput): ActionRequest {
  const { reason, payload, value = null, json = '' } = input
  switch (action.kind) {
    case 'run':
      return payload === null
        ? post(`/jobs/runs/${encode(action.runId ?? '')}/run-again`, {
            reason,
            dryRun: action.dryRun,
          })
        : post(`/jobs/named/${encode(action.name)}/run`, { reason, dryRun: action.dryRun, payload })
    case 'pause':
      return post(`/jobs/named/${encode(action.name)}/pause`, { reason })
    case 'resume':
      return post(`/jobs/named/${encode(action.name)}/resume`, given(reason))
    case 'cancel':
      return post(`/jobs/runs/${encode(action.runId)}/cancel`, { reason })
    case 'approve':
      return post(`/jobs/runs/${encode(action.runId)}/approve`, { reason })
    case 'redrive':
      return post(`/jobs/dead-letters/${encode(action.workId)}/redrive`, {
        reason,
        ...(action.from && { from: action.from.first }),
        ...(action.losses >= DANGEROUS_LOSSES && { evenIfWorkersDied: true }),
      })
    case 'answerDoubt': {
      const { step, item, happened } = action
      const answer = json.trim() === '' ? {} : { result: JSON.parse(json) as unknown }
      const path = `/jobs/work/${encode(action.workId)}/steps/answer`
      return post(path, { step, item, happened, ...answer, reason })
    }
    case 'sendSignal': {
      const { signal, key, id } = action
      const payload = json.trim() === '' ? {} : { payload: JSON.parse(json) as unknown }
      return post('/jobs/signals', { signal, key, id, ...payload, reason })
    }
    case 'discard':
      return {
        method: 'DELETE',
        path: `/jobs/dead-letters/${encode(action.workId)}`,
        body: given(reason),
      }
    case 'pauseQueue':
      return post(`/jobs/named/${encode(action.name)}/queue/pause`, { reason })
    case 'resumeQueue':
      return post(`/jobs/named/${encode(action.name)}/queue/resume`, given(reason))
    case 'runOfKey':
      return post(`${ofKey(action)}/trigger`, { reason })
    case 'pauseKey':
      return post(`${ofKey(action)}/pause`, { reason })
    case 'resumeKey':
      return post(`${ofKey(action)}/resume`, given(reason))
    case 'deleteKey':
      return { method: 'DELETE', path: ofKey(action), body: { reason } }
    case 'pauseWorkOfKey':
    case 'resumeWorkOfKey': {
      const paused = action.kind === 'pauseWorkOfKey'
      return post(`/jobs/named/${encode(action.name)}/keys`, { key: action.key, paused, reason })
    }
    case 'limitKey':
      return post(`/jobs/named/${encode(action.name)}/keys`, {
        key: action.key,
        perKey: value,
        reason,
      })
    case 'unparkKey':
      return post(`/jobs/named/${encode(action.name)}/keys`, {
        key: action.key,
        parked: false,
        reason,
      })
    case 'setLimit':
      return post(ofLimit(action), { global: value, reason })
    case 'unparkLimit':
      return post(ofLimit(action), { parked: false, reason })
    default:
      return action satisfies never
  }
}

/** The path of a schedule that is kept as data. */
export function ofKey({ name, key }: { name: string; key: string }): string {
  return `/jobs/named/${encode(name)}/schedules/${encode(key)}`
}

function ofLimit({ name, isShared }: { name: string; isShared: boolean }): string {
  return isShared ? `/jobs/limits/${encode(name)}` : `/jobs/named/${encode(name)}/limit`
}

/** Leaves an empty reason out: where one is needed, the form has asked for it. */
function given(reason: string): { reason?: string } {
  return reason === '' ? {} : { reason }
}

function post(path: string, body: unknown): ActionRequest {
  return { method: 'POST', path, body }
}

function encode(part: string): string {
  return encodeURIComponent(part)
}
