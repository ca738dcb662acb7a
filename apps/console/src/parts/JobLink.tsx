import { Link } from '@tanstack/react-router'
import type { ReactNode } from 'react'

export interface JobLinkProps {
  name: string
  /** Default: strong. */
  className?: string
  'data-row-link'?: true
  /** Default: the job's name. */
  children?: ReactNode
}

/** Leads to the page of the job that a row or a sentence is about. */
export function JobLink({
  name,
  className = 'strongLink',
  children = name,
  ...props
}: JobLinkProps) {
  return (
    <Link to="/jobs/$name" params={{ name }} className={className} {...props}>
      {children}
    </Link>
  )
}
