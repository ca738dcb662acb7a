export interface SkeletonProps {
  /** Each is as high as what comes in its place. */
  kind: 'title' | 'sentence' | 'line' | 'row' | 'panel'
  count?: number
}

/** Stands where something will be, in its size, so that nothing jumps when it comes. */
export function Skeleton({ kind, count = 1 }: SkeletonProps) {
  return Array.from({ length: count }, (_, index) => (
    <span key={index} aria-hidden="true" className={`skeleton skeleton-${kind}`} />
  ))
}
