import { useState } from 'react'
import { readPreference, storePreference } from './preferences.ts'

const THEMES = ['system', 'light', 'dark'] as const
type Theme = (typeof THEMES)[number]

const ICONS: Record<Theme, string> = {
  system: 'M2.5 3.5h11v7h-11zM6 13h4M8 10.5V13',
  light:
    'M8 5a3 3 0 100 6 3 3 0 000-6zM8 1.5v1.2M8 13.3v1.2M1.5 8h1.2M13.3 8h1.2M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9',
  dark: 'M13 9.6A5.5 5.5 0 016.4 3a5.5 5.5 0 106.6 6.6z',
}

/** Cycles through system, light and dark. At the next load, theme.js applies the choice before the first paint. */
export function ThemeButton() {
  const [theme, setTheme] = useState<Theme>(readTheme)

  function choose(next: Theme): void {
    setTheme(next)
    storePreference('theme', next === 'system' ? null : next)
    if (next === 'system') delete document.documentElement.dataset['theme']
    else document.documentElement.dataset['theme'] = next
  }

  return (
    <button
      type="button"
      className="iconButton"
      aria-label={`Theme: ${theme}`}
      data-tip={`Theme: ${theme}`}
      onClick={() => choose(THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length] ?? 'system')}
    >
      <svg viewBox="0 0 16 16" width="16" height="16" aria-hidden="true" className="icon">
        <path d={ICONS[theme]} />
      </svg>
    </button>
  )
}

function readTheme(): Theme {
  const kept = readPreference('theme')
  return THEMES.find((theme) => theme === kept) ?? 'system'
}
