import { BulkButton } from './ActButton.tsx'

/** Takes a piece of work out of the queue; absent for people who may only look. */
export function CancelWork({ name, workId }: { name: string; workId: string }) {
  return (
    <BulkButton
      aria-label={`Cancel: work of ${name}`}
      bulk={{ what: 'cancelWork', count: 1, about: `of ${name}`, which: { ids: [workId] } }}
    >
      Cancel
    </BulkButton>
  )
}
