import { describe, expect, it } from 'vitest'
import { createReport } from '../proof/createReport.ts'

describe('createReport', () => {
  it('shows commands, their output and what held', async () => {
    const report = createReport((text) => text.replaceAll('secret', '…'))
    await report.section('First', async () => {
      report.add({ text: 'It says:', command: 'echo secret', output: 'secret\n' })
      report.expect('it speaks', true, 'secret')
    })

    const text = report.render('# Heading\n')
    expect(text).toContain('## First\n\nIt says:\n\n```console\n$ echo …\n…\n```')
    expect(text).toContain('- PASS it speaks')
    expect(report.failures()).toEqual([])
  })

  it('names what did not hold, with what came instead', async () => {
    const report = createReport((text) => text)
    await report.section('First', async () => report.expect('one is two', false, 1))

    expect(report.failures()).toEqual(['one is two'])
    expect(report.render('')).toContain('- **FAIL** one is two, but got 1')
  })

  it('counts a section that throws as a failure, and goes on with the next', async () => {
    const report = createReport((text) => text)
    await report.section('First', () => Promise.reject(new Error('no luck')))
    await report.section('Second', async () => report.expect('it goes on', true, null))

    expect(report.failures()).toEqual(['First could be carried out'])
    expect(report.render('')).toMatch(/FAIL.*no luck[\s\S]*## Second\n\n- PASS it goes on/)
  })
})
