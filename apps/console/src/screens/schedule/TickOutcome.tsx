import type { KeyedTick } from '@roundsman/admin/contract'
import { Link } from '@tanstack/react-router'
import { tickKind, TICK_WORDS } from '../../charts/tickKind.ts'
import { StatusMark } from '../../parts/StatusMark.tsx'

/** What became of a tick: its run, to which it leads, or why there is none. */
export function TickOutcome({ tick }: { tick: KeyedTick }) {
  const { run, count } = tick
  if (run !== null) {
    return (
      <Link to="/runs/$id" params={{ id: run.id }} className="quietLink">
        <StatusMark status={run.outcome} />
        <span className="srOnly">, the run</span>
      </Link>
    )
  }
  return (
    <span>
      {TICK_WORDS[tickKind(tick)]}
      {count > 1 && ` × ${count.toLocaleString('en')}`}
    </span>
  )
}
