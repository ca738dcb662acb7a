import { Button } from '../parts/Button.tsx'
import { Dialog } from '../parts/Dialog.tsx'
import { PLACES } from './places.ts'
import type { Shortcuts } from './useShortcuts.ts'

const KEYS = [
  ...PLACES.map(({ key, label }) => ({
    keys: ['g', key],
    does: `Go to ${label}`,
  })),
  { keys: ['/'], does: 'Search, and do things by name' },
  { keys: ['Ctrl', 'K'], does: 'The same, also while typing' },
  { keys: ['f'], does: 'Filter, on pages with filters' },
  { keys: ['j', 'k'], does: 'Go down and up in a table, as the arrow keys do' },
  { keys: ['Enter'], does: 'Open the row' },
  { keys: ['x'], does: 'Select the row' },
  { keys: ['?'], does: 'Show this' },
  { keys: ['←', '→'], does: 'Go along a strip or the marks of a chart' },
  { keys: ['Esc'], does: 'Close a dialog or a tooltip' },
]

export function ShortcutHelp({
  shortcuts,
  onClose,
}: {
  shortcuts: Shortcuts
  onClose: () => void
}) {
  return (
    <Dialog title="Keyboard shortcuts" onClose={onClose}>
      <dl className="shortcuts">
        {KEYS.map(({ keys, does }) => (
          <div key={does}>
            <dt>
              {keys.map((key) => (
                <kbd key={key}>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
      <label className="check">
        <input
          type="checkbox"
          checked={shortcuts.isOn}
          onChange={(event) => shortcuts.setOn(event.target.checked)}
        />
        Single letters act as shortcuts
      </label>
      <div className="dialogActions">
        <Button onClick={onClose}>Close</Button>
      </div>
    </Dialog>
  )
}
