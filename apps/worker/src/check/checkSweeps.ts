import type { Job } from '@roundsman/engine'
import type { DeclaredSweep } from './checkIndexes.ts'
import type { Finding } from './finding.ts'

/** Whether contract and handler agree on what takes rows away. */
export function checkSweeps(jobs: readonly Job[], sweeps: readonly DeclaredSweep[]): Finding[] {
  const declared = new Set(sweeps.map(({ job }) => job))
  return jobs.flatMap(({ name, isDestructive }): Finding[] => {
    if (declared.has(name) === isDestructive) return []
    if (isDestructive) {
      return [
        {
          severity: 'warning',
          code: 'sweep_undeclared',
          job: name,
          problem:
            'it is destructive, and its handler does not declare what it sweeps: nobody knows whether an index finds it',
          remedy:
            'make its handler with sweepHandler, and list it in createCleanups (apps/worker/src/jobs/index.ts)',
        },
      ]
    }
    return [
      {
        severity: 'error',
        code: 'sweep_not_destructive',
        job: name,
        problem:
          'its handler sweeps, and its definition does not say that it is destructive, so nobody asks for a guard',
        remedy: 'set isDestructive where it is defined, and give it a guard',
      },
    ]
  })
}
