import { expect, test } from 'vitest'
import { findUnexplained } from '../check/checkSurface.ts'

const BEFORE = `column  JobBulk.id  uuid
command  roundsman simulate
export  getWork  getWork(id: string): Promise<Work>
member  Work.kind  kind: 'waiting' | 'running'
member  Work.state  state: string
option  roundsman simulate --json
option  roundsman work --all
table  JobBulk
usage  roundsman work list  roundsman work list [--all]
`

test('what is gone or changed has to be named, and what belongs to what is gone does not', () => {
  const now = `command  roundsman work
export  getWork  getWork(id: string): Promise<Work>
export  Work  type Work
member  Work.kind  kind: 'waiting'
usage  roundsman work list  roundsman work list
`
  const page = 'Gone: `JobBulk`, Work.state, `roundsman work --all` and `Work.kinds`.'
  expect(findUnexplained(BEFORE, now, page)).toEqual([
    'command  roundsman simulate',
    "member  Work.kind  kind: 'waiting' | 'running'",
    'member  Work.state  state: string',
    'usage  roundsman work list  roundsman work list [--all]',
  ])
})

test('what stays or is new needs no word', () => {
  expect(findUnexplained(BEFORE, `${BEFORE}table  JobStep\n`, '')).toEqual([])
})
