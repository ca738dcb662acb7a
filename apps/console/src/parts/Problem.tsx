import { asApiError } from '../api/apiError.ts'

export interface ProblemProps {
  error: unknown
  onRetry?: () => void
}

/** Says what went wrong, and names the parts of the request that are at fault. */
export function Problem({ error, onRetry }: ProblemProps) {
  const { title, detail, issues } = asApiError(error)
  return (
    <div className="problem" role="alert">
      <p className="problemTitle">{title}</p>
      <p>{detail}</p>
      {issues.length > 0 && (
        <ul>
          {issues.map(({ path, message }) => (
            <li key={`${path} ${message}`}>
              <code>{path}</code> {message}
            </li>
          ))}
        </ul>
      )}
      {onRetry && (
        <button className="button" type="button" onClick={onRetry}>
          Try again
        </button>
      )}
    </div>
  )
}
