import { createProxy, type Proxy } from '@roundsman/testing'
import { openDatabase, type Database, type DatabaseOptions } from '../../src/store/database.ts'
import { createSchema } from '../../src/store/schema.ts'
import type { TestRuntime } from '../openTestRuntime.ts'

/** A pool whose connections a test can cut, silence or refuse. */
export async function openThroughProxy(
  runtime: TestRuntime,
  options: Partial<DatabaseOptions> & { applicationName: string },
): Promise<{ database: Database; proxy: Proxy; close(): Promise<void> }> {
  const url = new URL(runtime.url)
  const proxy = await createProxy(Number(url.port))
  url.port = String(proxy.port)
  const database = openDatabase({
    schema: createSchema('public'),
    url: url.href,
    log: runtime.log,
    ...options,
  })
  return {
    database,
    proxy,
    async close() {
      await database.close()
      proxy.close()
    },
  }
}
