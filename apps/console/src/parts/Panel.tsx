import { useId, type ReactNode, type Ref } from 'react'

export interface PanelProps {
  title: string
  /** Stands beside the title: a number, a link, a legend. */
  aside?: ReactNode
  children: ReactNode
  className?: string
  ref?: Ref<HTMLElement>
}

export function Panel({ title, aside, children, className, ref }: PanelProps) {
  const id = useId()
  return (
    <section
      ref={ref}
      className={className === undefined ? 'panel' : `panel ${className}`}
      aria-labelledby={id}
      data-focus-home="heading"
    >
      <div className="panelHeader">
        <h2 id={id}>{title}</h2>
        {aside !== undefined && <div className="panelAside">{aside}</div>}
      </div>
      {children}
    </section>
  )
}
