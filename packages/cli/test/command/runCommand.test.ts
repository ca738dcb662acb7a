import { expect, it } from 'vitest'
import { findNodeProblem } from '../../src/command/runCommand.ts'

it('says that Node is older than the package needs', () => {
  expect(findNodeProblem('20.20.2')).toBe(
    'Roundsman needs Node 22.12.0 or newer, and this is 20.20.2',
  )
  expect(findNodeProblem('22.9.0')).not.toBeNull()
  for (const version of ['22.12.0', '22.100.0', '24.0.0']) {
    expect(findNodeProblem(version)).toBeNull()
  }
})
