import type { ConsoleVersion } from '@roundsman/admin/contract'
import { Moment } from '../parts/Moment.tsx'
import { formatShort } from '../time/formatExact.ts'

/** A dotted line in a chart where the version changed. */
export function VersionLine({
  version,
  x,
  y1,
  y2,
}: {
  version: string
  x: string
  y1: number | string
  y2: number | string
}) {
  return (
    <line x1={x} x2={x} y1={y1} y2={y2} className="versionLine">
      <title>{`Version ${version}`}</title>
    </line>
  )
}

/** Says in a legend which version each line stands for, and since when. */
export function VersionKeys({ versions }: { versions: readonly ConsoleVersion[] }) {
  return versions.map(({ at, version }) => (
    <li key={at}>
      <svg width="8" height="12" aria-hidden="true">
        <line x1="4" x2="4" y1="0" y2="12" className="versionLine" />
      </svg>
      version {version} <Moment at={at}>{formatShort(at)}</Moment>
    </li>
  ))
}
