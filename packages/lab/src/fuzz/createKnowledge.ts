import type { Random } from '../createRandom.ts'
import { findOperation, type Operation } from './readOperations.ts'

/** What earlier answers have taught: without it, hardly any request would be about something that exists. */
export interface Knowledge {
  learn(operation: Operation, answer: unknown): void
  /** A value for a parameter of a path, if one was seen. */
  param(operation: Operation, name: string, random: Random): string | undefined
  value(kind: Kind, random: Random): string | undefined
  cursor(operation: Operation, random: Random): string | undefined
  /** The version of an invoice, as last seen. */
  versionOf(invoiceId: string): number | undefined
}

export const KINDS = [
  'invoice',
  'previewSession',
  'previewToken',
  'email',
  'run',
  'job',
  'limit',
  'work',
] as const
export type Kind = (typeof KINDS)[number]

/** Which kind of id each path has. The first match counts. */
const KIND_OF_PARAM: readonly [prefix: string, param: string, kind: Kind][] = [
  ['/api/invoices/', 'id', 'invoice'],
  ['/api/emails/', 'id', 'email'],
  ['/api/preview-sessions/', 'id', 'previewSession'],
  ['/api/public/preview/', 'token', 'previewToken'],
  ['/api/jobs/runs/', 'id', 'run'],
  ['/api/jobs/dead-letters/', 'workId', 'work'],
  ['/api/jobs/work/', 'workId', 'work'],
  ['/api/jobs/limits/', 'name', 'limit'],
  ['/api/jobs/', 'name', 'job'],
  ['/api/console/jobs/', 'name', 'job'],
]

const KIND_OF_ID: Record<string, Kind> = {
  '/api/invoices': 'invoice',
  '/api/invoices/{id}': 'invoice',
  '/api/preview-sessions': 'previewSession',
  '/api/jobs/runs': 'run',
}

/** The latest are enough; keeping all would be a memory leak of our own. */
const MAX_KEPT = 200

/** Collects from answers what later requests can name: ids by kind, cursors, and versions of invoices. */
export function createKnowledge(operations: readonly Operation[]): Knowledge {
  const kept = new Map<string, string[]>()
  const versions = new Map<string, number>()

  function keep(kind: string, value: string): void {
    const values = kept.get(kind) ?? []
    if (values.includes(value)) return
    values.push(value)
    if (values.length > MAX_KEPT) values.shift()
    kept.set(kind, values)
  }

  function pick(kind: string, random: Random): string | undefined {
    const values = kept.get(kind)
    return values && random.pick(values)
  }

  function visit(operation: Operation, value: unknown): void {
    if (typeof value !== 'object' || value === null) return
    const record = value as Record<string, unknown>
    const { id, version, name, jobs } = record
    const kind = KIND_OF_ID[operation.path]
    if (typeof id === 'string' && kind) keep(kind, id)
    // A job's own limit has none.
    if (operation.path === '/api/jobs/limits' && Array.isArray(jobs)) keep('limit', String(name))
    if (typeof id === 'string' && typeof version === 'number') versions.set(id, version)
    for (const [key, item] of Object.entries(record)) {
      if (typeof item === 'string') learnText(operation, key, item)
      else visit(operation, item)
    }
  }

  function learnText(operation: Operation, key: string, text: string): void {
    if (key === 'workId') keep('work', text)
    if (key === 'runId') keep('run', text)
    if (key === 'name' && operation.path === '/api/jobs') keep('job', text)
    if (key === 'token' && operation.path === '/api/preview-sessions') keep('previewToken', text)
    if (key === 'nextCursor') keep(`cursor ${operation.path}`, text)
    if (key === 'statusUrl') {
      const linked = findOperation(operations, { method: 'GET', target: text })
      const [, param] = linked?.pattern.exec(text) ?? []
      const kind = linked && kindOf(linked, linked.params[0]?.name ?? '')
      if (kind && param !== undefined) keep(kind, param)
    }
  }

  return {
    learn: visit,
    value: pick,
    param(operation, name, random) {
      const kind = kindOf(operation, name)
      return kind && pick(kind, random)
    },
    cursor: (operation, random) => pick(`cursor ${operation.path}`, random),
    versionOf: (invoiceId) => versions.get(invoiceId),
  }
}

function kindOf({ path }: Operation, name: string): Kind | undefined {
  return KIND_OF_PARAM.find(([prefix, param]) => path.startsWith(prefix) && param === name)?.[2]
}
