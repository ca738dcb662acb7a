import type { ConsoleJob, RunOutcome } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import { OUTCOME_WORDS } from '../api/runOutcome.ts'
import { useRoving } from '../parts/useRoving.ts'
import { formatDuration } from '../time/formatDuration.ts'
import { exactLines } from '../time/formatExact.ts'

const PLACES = 60

/** The last runs of a job without ticks, the newest on the right. */
export function RunStrip({ name, runs }: { name: string; runs: ConsoleJob['recentRuns'] }) {
  const shown = runs.slice(-PLACES)
  const roving = useRoving(shown.length, shown.length - 1)
  const failed = shown.filter(({ outcome }) => markOf(outcome) === 'failed').length
  if (shown.length === 0) return <p className="stripEmpty muted small">No run has ended yet</p>
  return (
    <div
      className="strip"
      role="group"
      aria-label={`Last ${shown.length} runs of ${name}: ${failed} failed`}
      {...roving.container}
    >
      {Array.from({ length: PLACES - shown.length }, (_, index) => (
        <span key={`empty ${index}`} className="stripPlace" aria-hidden="true" />
      ))}
      {shown.map((run, index) => {
        const tip = `${OUTCOME_WORDS[run.outcome]} after ${formatDuration(run.durationMs)}\n${exactLines(run.startedAt).join('\n')}`
        return (
          <Link
            key={run.id}
            to="/runs/$id"
            params={{ id: run.id }}
            preload={false}
            className="stripPlace"
            data-tip={tip}
            aria-label={tip.replaceAll('\n', ', ')}
            {...roving.item(index)}
          >
            <i className={`mark is-${markOf(run.outcome)}`} />
          </Link>
        )
      })}
    </div>
  )
}

/** The mark of an outcome. A run that was stopped gets a dash, as does a tick that came to nothing. */
function markOf(outcome: RunOutcome): 'success' | 'failed' | 'skipped' {
  if (outcome === 'failed' || outcome === 'lost') return 'failed'
  return outcome === 'success' ? 'success' : 'skipped'
}
