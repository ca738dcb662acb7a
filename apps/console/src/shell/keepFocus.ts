/**
 * An attribute of elements that take the focus when a part with the focus is gone: `control` for a control in them,
 * `heading` for their heading.
 */
const HOME = 'data-focus-home'
const CONTROLS = 'button:not(:disabled), a[href]'
const FOCUSABLE = `${CONTROLS}, input, select, textarea, summary, [tabindex]`

/** The address of the link by which each page of the history was left. */
const leftBy = new Map<unknown, string>()

/** The key that the router gives each page of the history; the same after Back. */
const pageKey = (view: Document): unknown =>
  (view.defaultView?.history.state as { __TSR_key?: unknown } | null)?.__TSR_key

/** The link in the page by which somebody left it, once Back has led to it again; null on a new page. */
export function findLinkLeftBy(view: Document): HTMLElement | null {
  const address = leftBy.get(pageKey(view))
  const links = [...view.querySelectorAll<HTMLElement>('main a[href]')]
  return links.find((link) => link.getAttribute('href') === address) ?? null
}

/**
 * Moves the focus when an action removes the button that had it, or the button's row: without it, keyboard users would
 * be back at the start of the page. Returns a function that stops it.
 */
export function keepFocus(view: Document): () => void {
  /** The element with the focus, or the one before a dialog opened, and all elements around it. */
  let path: Element[] = []

  function remember({ target }: Event): void {
    if (target instanceof Element && target.closest('dialog') === null) path = around(target)
  }

  /** A click beside all controls means that nobody wants the focus. */
  function forget({ target }: Event): void {
    if (target instanceof Element && target.closest(FOCUSABLE) === null) path = []
  }

  function leave({ target }: Event): void {
    const address =
      target instanceof Element && target.closest('main a[href]')?.getAttribute('href')
    if (address) leftBy.set(pageKey(view), address)
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
    // A heading takes the focus only with a tabindex.
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
  // Before the router goes on.
  view.addEventListener('click', leave, { capture: true })
  return () => {
    observer.disconnect()
    view.removeEventListener('focusin', remember)
    view.removeEventListener('pointerdown', forget)
    view.removeEventListener('click', leave, { capture: true })
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
