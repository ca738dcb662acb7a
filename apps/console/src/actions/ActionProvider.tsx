import { Link } from '@tanstack/react-router'
import { useState, type ReactNode, useEffect } from 'react'
import type { Action } from './action.ts'
import { ActionDialog } from './ActionDialog.tsx'
import type { Bulk } from './bulk.ts'
import { BulkDialog } from './BulkDialog.tsx'
import { PayloadContext, PayloadDialog, type Whose } from './ShowPayload.tsx'
import { ActionContext, BulkContext } from './useAction.ts'

/** Holds the one dialog for all actions, and the one place that tells their results. */
export function ActionProvider(props: { isAllowed: boolean; children: ReactNode }) {
  const { isAllowed, children } = props
  const [action, setAction] = useState<Action | null>(null)
  const [bulk, setBulk] = useState<Bulk | null>(null)
  const [payload, setPayload] = useState<Whose | null>(null)
  const [done, setDone] = useState<Done | null>(null)

  return (
    <ActionContext value={isAllowed ? setAction : null}>
      <BulkContext value={isAllowed ? setBulk : null}>
        <PayloadContext value={setPayload}>{children}</PayloadContext>
      </BulkContext>
      {payload !== null && (
        <PayloadDialog
          whose={payload}
          onClose={() => setPayload(null)}
          onDone={(text) => {
            setPayload(null)
            setDone({ text })
          }}
        />
      )}
      {bulk !== null && (
        <BulkDialog
          bulk={bulk}
          onClose={() => setBulk(null)}
          onDone={(text) => {
            setBulk(null)
            setDone({ text })
          }}
        />
      )}
      {action !== null && (
        <ActionDialog
          action={action}
          onClose={() => setAction(null)}
          onDone={(text) => {
            setAction(null)
            setDone({ text, name: action.name })
          }}
        />
      )}
      <Notice done={done} onClose={() => setDone(null)} />
    </ActionContext>
  )
}

const SHOWN_MS = 10_000

interface Done {
  text: string
  /** The job that was acted on, if it was one. */
  name?: string
}

interface NoticeProps {
  done: Done | null
  onClose: () => void
}

/** Tells what was done, with a link to where it shows. */
function Notice({ done, onClose }: NoticeProps) {
  useEffect(() => {
    if (done === null) return undefined
    const timer = setTimeout(onClose, SHOWN_MS)
    return () => clearTimeout(timer)
  }, [done, onClose])

  return (
    <div role="status" aria-live="polite" className="noticePlace">
      {done !== null && (
        <div className="notice">
          <span>{done.text}.</span>
          {done.name !== undefined && (
            <Link to="/runs" search={{ name: done.name }}>
              Its runs
            </Link>
          )}
          <button type="button" className="iconButton" aria-label="Close" onClick={onClose}>
            ✕
          </button>
        </div>
      )}
    </div>
  )
}
