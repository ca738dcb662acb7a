import type { KeptLog } from '@roundsman/fastify/contract'
import { Moment } from '../../parts/Moment.tsx'
import { formatMillis } from '../../time/formatExact.ts'

/** The last lines that a run has logged, the oldest first. */
export function LogLines({ log: { lines, earlier } }: { log: KeptLog }) {
  return (
    <>
      {earlier > 0 && (
        <p className="muted">
          {earlier.toLocaleString('en')} earlier {earlier === 1 ? 'line is' : 'lines are'} not kept
        </p>
      )}
      <ol className="logLines" tabIndex={0} aria-label="Log lines">
        {lines.map(({ at, level, message, fields }, index) => (
          // They have no name of their own, and never move.
          <li key={index} className={`logLine is-${level}`}>
            <Moment at={at} isInControl>
              {formatMillis(at)}
            </Moment>
            <span className="logLevel">{level}</span>
            <span className="isWrapped">
              {message} {fields !== null && <span className="muted">{fields}</span>}
            </span>
          </li>
        ))}
      </ol>
    </>
  )
}
