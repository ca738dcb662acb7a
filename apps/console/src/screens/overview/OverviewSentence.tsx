import type { ConsoleOverview } from '@roundsman/api/console'
import { useClock } from '../../services/useClock.ts'
import { describeOverview } from './describeOverview.ts'

const MARKS = {
  good: 'M4.5 12.5l5 5 10-11',
  warn: 'M12 5v8.5M12 17.5v.5',
  bad: 'M6 6l12 12M18 6L6 18',
} as const

export function OverviewSentence({ overview }: { overview: ConsoleOverview }) {
  const text = useClock((now) => describeOverview(overview, now).text)
  const tone = useClock((now) => describeOverview(overview, now).tone)
  return (
    <p className={`sentence is-${tone}`}>
      <svg viewBox="0 0 24 24" width="28" height="28" aria-hidden="true">
        <circle cx="12" cy="12" r="12" className="sentenceGround" />
        <path d={MARKS[tone]} transform="translate(4.8 4.8) scale(.6)" />
      </svg>
      <span>{text}</span>
    </p>
  )
}
