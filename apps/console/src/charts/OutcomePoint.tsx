import { OUTCOME_WORDS, type RunOutcome } from '../api/runOutcome.ts'

/** Each outcome has a shape of its own, seen without its colour: around 0, some 8 px wide. */
const SHAPES: Record<RunOutcome, string> = {
  success: 'M-3 0a3 3 0 1 0 6 0a3 3 0 1 0-6 0z',
  failed: 'M-3.5-3.5l7 7m0-7l-7 7',
  lost: 'M0-4.5l4.5 8h-9z',
  expired: 'M0-4.5l4.5 4.5-4.5 4.5-4.5-4.5z',
  blocked: 'M-2.5-4v8m5-8v8',
  cancelled: 'M-4.5 0h9',
  givenBack: 'M3-3.5l-6 3.5 6 3.5',
  running: 'M-3-4l6 4-6 4z',
}

export function OutcomePoint({ outcome }: { outcome: RunOutcome }) {
  return <path d={SHAPES[outcome]} className={`point is-${outcome}`} />
}

/** What the shapes in a chart mean, of those that are there. */
export function OutcomeKeys({ outcomes }: { outcomes: ReadonlySet<RunOutcome> }) {
  return (Object.keys(SHAPES) as RunOutcome[])
    .filter((outcome) => outcomes.has(outcome))
    .map((outcome) => (
      <li key={outcome}>
        <svg viewBox="-6 -6 12 12" width="12" height="12" aria-hidden="true">
          <OutcomePoint outcome={outcome} />
        </svg>
        {OUTCOME_WORDS[outcome]}
      </li>
    ))
}
