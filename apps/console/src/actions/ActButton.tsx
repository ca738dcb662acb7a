import { Button, type ButtonProps } from '../parts/Button.tsx'
import type { Action } from './action.ts'
import type { Bulk } from './bulk.ts'
import { useAction, useBulk } from './useAction.ts'

/** A button for an action; absent for people who may only look. */
export function ActButton({ action, ...props }: ButtonProps & { action: Action }) {
  const act = useAction()
  return act && <Button {...props} onClick={() => act(action)} />
}

/** The same for an action on many things at once. */
export function BulkButton({ bulk, ...props }: ButtonProps & { bulk: Bulk }) {
  const act = useBulk()
  return act && <Button {...props} onClick={() => act(bulk)} />
}
