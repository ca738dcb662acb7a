import { readApiEnvironment } from '../../apps/api/src/env.ts'
import { readWorkerEnvironment } from '../../apps/worker/src/env.ts'
import { EnvironmentError, readEnvironment } from '@roundsman/node-app'
import { inboxVariables } from '../inbox/inboxVariables.ts'

export type StackEnvironment = ReturnType<typeof readStackEnvironment>

/** Reads the environments of both apps and of the local inbox, and what they say of the stack as a whole. */
export function readStackEnvironment(source: NodeJS.ProcessEnv) {
  const api = attempt(() => readApiEnvironment(source))
  const worker = attempt(() => readWorkerEnvironment(source))
  const inbox = attempt(() => readEnvironment(inboxVariables, source))
  if ('problems' in api || 'problems' in worker || 'problems' in inbox) {
    const problems = [api, worker, inbox].flatMap((one) => ('problems' in one ? one.problems : []))
    throw new EnvironmentError([...new Set(problems)])
  }
  // A published Replit app is production, even if NODE_ENV does not say so.
  const isProduction = api.value.NODE_ENV === 'production' || source['REPLIT_DEPLOYMENT'] === '1'
  return {
    api: api.value,
    worker: worker.value,
    isProduction,
    /** Null with a mail server of one's own, and in production: real mail must not end in a local inbox. */
    inbox: isProduction || worker.value.SMTP_URL !== undefined ? null : inbox.value,
  }
}

function attempt<Value>(read: () => Value): { value: Value } | { problems: readonly string[] } {
  try {
    return { value: read() }
  } catch (error) {
    if (error instanceof EnvironmentError) return { problems: error.problems }
    throw error
  }
}
