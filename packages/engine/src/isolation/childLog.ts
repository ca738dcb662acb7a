import { LEVELS, type Logger, type LogLine } from '../job/logger.ts'
import { storable } from '../values/storable.ts'
import { formatMessage, mergeFields } from '../run/foreignLine.ts'

const MAX_LINE_BYTES = 64_000
const MAX_LINES_A_SECOND = 1_000
const MAX_CAUSES = 5

/**
 * Makes the logger of an isolated run's process. It sends lines as JSON to the worker, and none below the level of the worker's log. The
 * worker writes them into that log.
 */
export function createChildLog(
  level: string | undefined,
  send: (token: string | null, line: string) => void,
): (token: string | null) => Logger {
  const least =
    level === 'silent' ? Infinity : (LEVELS[level as keyof typeof LEVELS] ?? LEVELS.trace)
  let secondEndsAt = 0
  let lines = 0

  function write(token: string | null, line: object): void {
    const now = performance.now()
    if (now >= secondEndsAt) {
      secondEndsAt = now + 1_000
      lines = 0
    }
    lines++
    if (lines > MAX_LINES_A_SECOND + 1) return
    const copy = storable(line, MAX_LINE_BYTES)
    if (lines > MAX_LINES_A_SECOND || copy.kind === 'tooLarge') {
      const msg = 'log lines of an isolated run were left out'
      return send(token, JSON.stringify({ level: LEVELS.warn, msg }))
    }
    send(token, JSON.stringify(copy.value))
  }

  function open(token: string | null, fixed: object): Logger {
    const at = (number: number): LogLine =>
      number < least
        ? () => undefined
        : (...args: readonly unknown[]) => write(token, { level: number, ...readLine(fixed, args) })
    return {
      trace: at(LEVELS.trace),
      debug: at(LEVELS.debug),
      info: at(LEVELS.info),
      warn: at(LEVELS.warn),
      error: at(LEVELS.error),
      fatal: at(LEVELS.fatal),
      child: (fields) => open(token, mergeFields(fixed, fields)),
    }
  }
  return (token) => open(token, {})
}

/** Logged values are foreign: they must not fail a run. */
function readLine(fixed: object, [first, ...rest]: readonly unknown[]): object {
  try {
    const isMessage = typeof first !== 'object' || first === null
    const fields = isMessage ? {} : first instanceof Error ? { err: first } : first
    const [text, ...values] = isMessage ? [first, ...rest] : rest
    const isFormat = typeof text === 'string' && values.length > 0
    const msg = isFormat ? formatMessage(text, values) : text
    const args = msg ?? (first instanceof Error ? first.message : undefined)
    return { ...fixed, ...spellError(fields), msg: args }
  } catch {
    return { ...fixed, msg: '[unreadable]' }
  }
}

function spellError(fields: object): object {
  const { err } = fields as { err?: unknown }
  return err instanceof Error ? { ...fields, err: toPlain(err, MAX_CAUSES) } : fields
}

/** Copies the parts of an error that JSON.stringify would leave out. */
function toPlain(error: Error, causes: number): object {
  const { name, message, stack, cause } = error
  const plainCause = cause instanceof Error && causes > 0 ? toPlain(cause, causes - 1) : cause
  const more = Object.fromEntries(Object.entries(error))
  return { ...more, type: name, message, stack, ...(cause !== undefined && { cause: plainCause }) }
}
