import type { Action, WhichWork } from './action.ts'

export interface ActionRequest {
  method: 'POST' | 'DELETE'
  path: string
  body?: unknown
}

export interface ActionInput {
  reason: string
  /** Of a job that takes one; an object. Null: that of the run that is to be run again, which the queue holds. */
  payload: Record<string, unknown> | null
  /** Of an action that asks for one: milliseconds to postpone by, or a priority. */
  value?: number
}

/** The request that does it. */
export function actionRequest(action: Action, input: ActionInput): ActionRequest {
  const { reason, payload, value = 0 } = input
  switch (action.kind) {
    case 'run':
      return payload === null
        ? post(`/jobs/runs/${encode(action.runId ?? '')}/run-again`, {
            reason,
            dryRun: action.dryRun,
          })
        : post(`/jobs/${encode(action.name)}/run`, { reason, dryRun: action.dryRun, payload })
    case 'pause':
      return post(`/jobs/${encode(action.name)}/pause`, { reason })
    case 'resume':
      return post(`/jobs/${encode(action.name)}/resume`, given(reason))
    case 'cancel':
      return post(`/jobs/runs/${encode(action.runId)}/cancel`, { reason })
    case 'approve':
      return post(`/jobs/runs/${encode(action.runId)}/approve`, { reason })
    case 'redrive':
      return post(`/jobs/dead-letters/${encode(action.queueJobId)}/redrive`, { reason })
    case 'redriveAll':
      return post('/jobs/dead-letters/redrive', { name: action.name, reason })
    case 'discard':
      return {
        method: 'DELETE',
        path: `/jobs/dead-letters/${encode(action.queueJobId)}`,
        body: given(reason),
      }
    case 'pauseQueue':
      return post(`/jobs/${encode(action.name)}/queue/pause`, { reason })
    case 'resumeQueue':
      return post(`/jobs/${encode(action.name)}/queue/resume`, given(reason))
    case 'cancelWork':
      return post('/jobs/work/cancel', { ...workOf(action), reason })
    case 'startWork':
      return post('/jobs/work/postpone', { ...workOf(action), reason, startAfter: inMs(0) })
    case 'postponeWork':
      return post('/jobs/work/postpone', { ...workOf(action), reason, startAfter: inMs(value) })
    case 'prioritiseWork':
      return post('/jobs/work/prioritise', { ...workOf(action), reason, priority: value })
    default:
      return action satisfies never
  }
}

function workOf({ name, which }: Extract<Action, { which: WhichWork }>) {
  return { name, ...which }
}

function inMs(ms: number): string {
  return new Date(Date.now() + ms).toISOString()
}

/** Where none is needed, an empty one is none. */
function given(reason: string): { reason?: string } {
  return reason === '' ? {} : { reason }
}

function post(path: string, body: unknown): ActionRequest {
  return { method: 'POST', path, body }
}

function encode(part: string): string {
  return encodeURIComponent(part)
}
