import { useState, type ReactNode } from 'react'
import type { Action } from './action.ts'
import { ActionDialog } from './ActionDialog.tsx'
import { Notice } from './Notice.tsx'
import { ActionContext } from './useAction.ts'

/** One dialog for all actions, and one place that says what came of them. */
export function ActionProvider({ children }: { children: ReactNode }) {
  const [action, setAction] = useState<Action | null>(null)
  const [done, setDone] = useState<{ text: string; name: string } | null>(null)

  return (
    <ActionContext value={setAction}>
      {children}
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
