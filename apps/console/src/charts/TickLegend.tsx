import { TICK_KINDS, TICK_WORDS } from './tickKind.ts'

/** What the shapes of a strip mean. */
export function TickLegend() {
  return (
    <ul className="legend" aria-label="What the marks mean">
      {TICK_KINDS.map((kind) => (
        <li key={kind}>
          <span className="stripPlace" aria-hidden="true">
            <i className={`mark is-${kind}`} />
          </span>
          {TICK_WORDS[kind]}
        </li>
      ))}
    </ul>
  )
}
