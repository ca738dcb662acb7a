#!/usr/bin/env bash
# tryPacked.sh <folder of tarballs>: installs the packages into an empty product and runs worker, client and command
# line there, with the `node` and `npm` that are first on the PATH. Needs DATABASE_URL, an empty database.
set -euo pipefail

tarballs="$(cd "${1:?Usage: tryPacked.sh <folder of tarballs>}" && pwd)"
: "${DATABASE_URL:?the URL of an empty database}"
product="$(mktemp -d)"
worker=''
clean_up() {
  if [[ -n "$worker" ]]; then kill "$worker" 2>/dev/null || true; fi
  rm -rf "$product"
}
trap clean_up EXIT

main() {
  cd "$product"
  node -p '`Node ${process.version}`'
  npm init --yes >/dev/null
  npm install --no-audit --no-fund "$tarballs"/*.tgz
  write_product
  npx roundsman --version
  npx roundsman migrate
  npx roundsman list
  node --input-type=module -e "
    import { client } from './client.mjs'
    import { greet } from './jobs.mjs'
    await client.enqueueNow(greet, { name: process.version })
    await client.stop()"
  node node_modules/roundsman/dist/main.js worker &
  worker=$!
  local deadline=$((SECONDS + 60))
  until npx roundsman runs --json | grep -q '"success"'; do
    if ((SECONDS >= deadline)); then
      echo 'The run has not ended within a minute.'
      exit 1
    fi
    sleep 1
  done
  npx roundsman runs
  kill -TERM "$worker"
  wait "$worker"
  worker=''
  npx roundsman check
  echo "Worker, client and command line have run on Node $(node -p process.version)."
}

write_product() {
  cat >jobs.mjs <<'JS'
import { defineJob, definePayload } from '@roundsman/engine'
export const greet = defineJob({
  name: 'greet',
  payload: definePayload(({ name }) => ({ name: String(name) })),
})
JS
  cat >client.mjs <<'JS'
import { createJobsClient } from '@roundsman/engine/client'
export const client = createJobsClient({ databaseUrl: process.env.DATABASE_URL })
JS
  cat >roundsman.config.mjs <<'JS'
import pg from 'pg'
import { defineConfig } from 'roundsman'
import { greet } from './jobs.mjs'
export default defineConfig({
  databaseUrl: process.env.DATABASE_URL,
  jobs: [greet],
  open() {
    const client = new pg.Pool({ connectionString: process.env.DATABASE_URL })
    return {
      client,
      handlers: {
        async greet({ payload, log }) {
          log.info({ from: payload.name, by: process.version }, 'greeted')
        },
      },
      close: () => client.end(),
    }
  },
})
JS
}

main
