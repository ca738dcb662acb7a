import { alreadyInWords } from '../api/actionInWords.ts'
import { asApiError } from '../api/apiError.ts'
import { Button } from './Button.tsx'
import { Moment } from './Moment.tsx'

export interface ProblemProps {
  error: unknown
  onRetry?: () => void
}

/** Says what went wrong, and names the parts of the request that are at fault. */
export function Problem({ error, onRetry }: ProblemProps) {
  const { status, title, detail, issues, earlier } = asApiError(error)
  return (
    <div className="problem" role="alert">
      {earlier === null ? (
        <>
          {/* The name of a status means nothing to people. */}
          <p className="problemTitle">{status === null ? title : detail}</p>
          {status === null && <p>{detail}</p>}
        </>
      ) : (
        <>
          <p className="problemTitle">{alreadyInWords(earlier)}</p>
          <p className="isWrapped">
            <Moment at={earlier.at} />
            {earlier.reason !== null && earlier.reason !== '' && `: ${earlier.reason}`}
          </p>
        </>
      )}
      {issues.length > 0 && (
        <ul>
          {issues.map(({ path, message }) => (
            <li key={`${path} ${message}`}>
              <code>{path}</code> {message}
            </li>
          ))}
        </ul>
      )}
      {onRetry && <Button onClick={onRetry}>Try again</Button>}
    </div>
  )
}
