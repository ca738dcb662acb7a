import type { ErrorComponentProps } from '@tanstack/react-router'
import { asApiError } from '../api/apiError.ts'
import { ScreenHeader } from './ScreenHeader.tsx'

/** In place of a screen that broke: a part of the console may not have come, after an update for example. */
export function ScreenError({ error }: ErrorComponentProps) {
  const { detail } = asApiError(error)
  return (
    <>
      <ScreenHeader title="This screen could not be shown" />
      <div className="problem" role="alert">
        <p className="problemTitle">{detail}</p>
        <p>
          A new version of the console may have been installed. Loading the page again helps then.
        </p>
        <button className="button" type="button" onClick={() => location.reload()}>
          Load again
        </button>
      </div>
    </>
  )
}
