import { asApiError } from '../api/apiError.ts'
import { Brand } from './Brand.tsx'

/** Until it is known who is there. Nothing is shown at first: that takes a moment only. */
export function StartScreen({ error }: { error: Error | null }) {
  if (error === null) return <main className="gate" aria-busy="true" />
  const { title, detail } = asApiError(error)
  return (
    <main className="gate">
      <div className="gateCard">
        <Brand />
        <h1>{title}</h1>
        <p role="status">{detail} Trying again every few seconds.</p>
      </div>
    </main>
  )
}
