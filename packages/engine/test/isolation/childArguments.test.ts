import { describe, expect, it } from 'vitest'
import { childArguments, childEnvironment } from '../../src/isolation/childArguments.ts'

describe('childArguments', () => {
  const of = (...execArgv: string[]) =>
    childArguments(execArgv, { entry: '/engine/childProcess.js', memoryMb: 512 })

  it('hands on what loads the code, in its order', () => {
    expect(of('--require', './a.cjs', '--import=./b.mjs', '-C', 'dev', '--no-warnings')).toEqual([
      '--require',
      './a.cjs',
      '--import=./b.mjs',
      '-C',
      'dev',
      '--no-warnings',
      '--max-old-space-size=512',
      '--max-semi-space-size=16',
      '/engine/childProcess.js',
    ])
  })

  it.each([
    [['--inspect']],
    [['--inspect-brk=127.0.0.1:9229']],
    [['--inspect-port', '0']],
    [['-e', 'start()']],
    [['--eval', 'start()']],
    [['-p', '1']],
    [['--test']],
    [['--test-reporter=spec']],
    [['--watch']],
    [['--watch-path', 'src']],
    [['--cpu-prof']],
    [['--max-old-space-size=64']],
    [['--max_old_space_size=64']],
    [['--max-semi-space-size=1']],
  ])('leaves out %j, which is about its parent', (execArgv) => {
    expect(of('--import=./a.mjs', ...execArgv, '--enable-source-maps').slice(0, 2)).toEqual([
      '--import=./a.mjs',
      '--enable-source-maps',
    ])
    expect(of(...execArgv)).toHaveLength(3)
  })

  it('names the condition by which our sources find each other, from source', () => {
    const entry = '/engine/childProcess.ts'
    expect(childArguments([], { entry, memoryMb: 64 })).toEqual([
      '--conditions=@roundsman/source',
      '--max-old-space-size=64',
      '--max-semi-space-size=2',
      entry,
    ])
  })
})

describe('childEnvironment', () => {
  it('is that of the worker, without its debugger', () => {
    expect(childEnvironment({ A: 'b' })).toEqual({ A: 'b' })
    expect(
      childEnvironment({
        A: 'b',
        NODE_OPTIONS: '--inspect=0 --import=./inspect.mjs --inspect-brk --no-warnings',
      }),
    ).toEqual({ A: 'b', NODE_OPTIONS: ' --import=./inspect.mjs --no-warnings' })
  })
})
