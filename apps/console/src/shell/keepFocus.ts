/** Where the focus lands when what had it is gone: at the control that took its place, or at the heading. */
const HOME = 'data-focus-home'
const CONTROLS = 'button:not(:disabled), a[href]'
const FOCUSABLE = `${CONTROLS}, input, select, textarea, summary, [tabindex]`

/**
 * What a button does may take the button away, or the row that it stands in. Without the mouse one would be at the
 * start of the page then. Returns how to stop.
 */
export function keepFocus(view: Document): () => void {
  /** What has the focus, or had it before the dialog that is open, and all that is around it. */
  let path: Element[] = []

  function remember({ target }: Event): void {
    if (target instanceof Element && target.closest('dialog') === null) path = around(target)
  }

  /** Who clicks beside everything wants the focus nowhere. */
  function forget({ target }: Event): void {
    if (target instanceof Element && target.closest(FOCUSABLE) === null) path = []
  }

  function check(): void {
    const [lost] = path
    if (lost === undefined || view.querySelector('dialog[open]') !== null) return
    const isGone = !lost.isConnected || lost.matches(':disabled')
    const active = view.activeElement
    if (isGone && (active === null || active === view.body || active === lost)) land()
  }

  function land(): void {
    const homes = path.slice(1).filter((element) => element.isConnected)
    path = []
    const place = homes.map(placeIn).find((element) => element !== null)
    const fallback = view.querySelector<HTMLElement>('main h1')
    const target = place ?? fallback
    // A heading takes the focus only when it is given to it.
    if (target?.matches('h1, h2')) target.setAttribute('tabindex', '-1')
    target?.focus({ preventScroll: true })
  }

  const observer = new MutationObserver(check)
  observer.observe(view.body, {
    childList: true,
    subtree: true,
    attributes: true,
    attributeFilter: ['disabled'],
  })
  view.addEventListener('focusin', remember)
  view.addEventListener('pointerdown', forget)
  return () => {
    observer.disconnect()
    view.removeEventListener('focusin', remember)
    view.removeEventListener('pointerdown', forget)
  }
}

function placeIn(home: Element): HTMLElement | null {
  switch (home.getAttribute(HOME)) {
    case 'control':
      return home.querySelector<HTMLElement>(CONTROLS)
    case 'heading':
      return home.querySelector<HTMLElement>('h1, h2')
    default:
      return null
  }
}

function around(element: Element): Element[] {
  const path: Element[] = []
  for (let next: Element | null = element; next !== null; next = next.parentElement) path.push(next)
  return path
}
