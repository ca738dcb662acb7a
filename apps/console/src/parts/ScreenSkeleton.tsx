import { Skeleton } from './Skeleton.tsx'

/** While a screen's code comes. */
export function ScreenSkeleton() {
  return (
    <div aria-busy="true">
      <header className="screenHeader">
        <Skeleton kind="title" />
      </header>
      <Skeleton kind="panel" />
    </div>
  )
}
