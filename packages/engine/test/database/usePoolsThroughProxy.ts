import type { Proxy } from '@roundsman/testing'
import { afterEach } from 'vitest'
import { openDatabase, type Database, type DatabaseOptions } from '../../src/database/database.ts'
import { createSchema } from '../../src/database/schema.ts'
import { openProxyTo } from '../openProxyTo.ts'
import type { TestRuntime } from '../openTestRuntime.ts'

type Options = Partial<DatabaseOptions> & { applicationName: string }

/** Opens pools whose connections a test can cut, silence or refuse, and closes them after each test. */
export function usePoolsThroughProxy(runtime: TestRuntime) {
  const opened: { database: Database; proxy: Proxy }[] = []
  afterEach(async () => {
    for (const { database, proxy } of opened.splice(0)) {
      await database.close()
      proxy.close()
    }
  })
  return async (options: Options) => {
    const { proxy, url } = await openProxyTo(options.url ?? runtime.url)
    const { log } = runtime
    const database = openDatabase({ schema: createSchema('public'), log, ...options, url })
    opened.push({ database, proxy })
    return { database, proxy }
  }
}
