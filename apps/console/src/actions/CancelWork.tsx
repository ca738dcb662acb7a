import { useBulk } from './useAction.ts'

/** Takes a piece of work out of the queue; absent for people who may only look. */
export function CancelWork({ name, workId }: { name: string; workId: string }) {
  const act = useBulk()
  if (act === null) return null
  return (
    <button
      type="button"
      className="button isSmall"
      aria-label={`Cancel: work of ${name}`}
      onClick={() =>
        act({ what: 'cancelWork', count: 1, about: `of ${name}`, which: { ids: [workId] } })
      }
    >
      Cancel
    </button>
  )
}
