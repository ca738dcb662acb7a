/** This process's environment without what concerns this workspace. */
export function foreignEnvironment(): NodeJS.ProcessEnv {
  const inherited = Object.entries(process.env).filter(
    ([name]) =>
      !/^(npm_(package|lifecycle|command)|pnpm_|INIT_CWD$|NODE_(ENV|OPTIONS|PATH)$|DATABASE_URL$|PORT$)/i.test(
        name,
      ),
  )
  return {
    ...Object.fromEntries(inherited),
    // Prisma's install scripts would download an engine.
    npm_config_ignore_scripts: 'true',
    npm_config_audit: 'false',
    npm_config_fund: 'false',
    npm_config_update_notifier: 'false',
    pnpm_config_minimum_release_age: '0',
    // pnpm would look for itself, for every platform, and the registry has not all.
    pnpm_config_pm_on_fail: 'ignore',
    // Prisma's commands would fetch missing engines; `generate` calls none.
    PRISMA_SCHEMA_ENGINE_BINARY: process.execPath,
    PRISMA_QUERY_ENGINE_LIBRARY: process.execPath,
    PRISMA_HIDE_UPDATE_MESSAGE: '1',
    CHECKPOINT_DISABLE: '1',
  }
}
