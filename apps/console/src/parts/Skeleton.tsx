export interface SkeletonProps {
  /** Each kind is as high as the content that replaces it. */
  kind: 'title' | 'sentence' | 'line' | 'row' | 'panel'
  count?: number
}

/** Stands where content will be, in its size, so that nothing jumps. */
export function Skeleton({ kind, count = 1 }: SkeletonProps) {
  return Array.from({ length: count }, (_, index) => (
    <span key={index} aria-hidden="true" className={`skeleton skeleton-${kind}`} />
  ))
}
