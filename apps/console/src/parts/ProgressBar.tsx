import type { Progress } from '@roundsman/admin/contract'

/** How far a run says it is. Without a total, the bar only shows that it goes on. */
export function ProgressBar({ progress, label }: { progress: Progress | null; label: string }) {
  const total = progress?.total ?? null
  const hasShare = progress !== null && total !== null && total > 0
  return (
    <span className="progress">
      <progress aria-label={label} {...(hasShare && { value: progress.done, max: total })} />
      <span className="progressText">{describe(progress)}</span>
    </span>
  )
}

function describe(progress: Progress | null): string {
  if (progress === null) return 'no progress reported'
  const done = progress.done.toLocaleString('en')
  if (progress.total === null) return `${done} done`
  const share = progress.total > 0 ? Math.floor((progress.done / progress.total) * 100) : 100
  return `${done} of ${progress.total.toLocaleString('en')} · ${Math.min(share, 100)} %`
}
