#!/usr/bin/env bash
# Checks a running Roundsman from outside, through HTTP, as its users see it. Needs bash and curl.
#
#   BASE_URL                                  default http://127.0.0.1:$PORT, PORT default 3000
#   OWNER_EMAIL, ADMIN_EMAIL, STAFF_EMAIL     default owner@example.com and so on
#   PASSWORD                                  of all three; default roundsman-demo
#   OWNER_PASSWORD, ADMIN_PASSWORD, STAFF_PASSWORD   where they differ
#   TIMEOUT                                   seconds for one request; default 10
#   PATIENCE                                  seconds for what a worker does meanwhile; default 30
#
# It leaves three preview sessions behind, two of which the next clean-up closes, and an invoice with its PDF, which it
# has mailed to verify@example.com.
# Exit code: 0 all passed, 1 something failed, 2 nothing could be checked.
set -u

BASE_URL="${BASE_URL:-http://127.0.0.1:${PORT:-3000}}"
BASE_URL="${BASE_URL%/}"
TIMEOUT="${TIMEOUT:-10}"
PATIENCE="${PATIENCE:-30}"
PASSWORD="${PASSWORD:-roundsman-demo}"
# Each run looks up one that is not cached yet, to see a miss; the clean-up frees them again.
TRANSLATIONS='common.cancel common.save invoice.download invoice.overdue invoice.send invoice.title
  login.email login.failed login.password login.submit preview.banner preview.expired preview.revoked'

passed=0
failed=0
status=''
reply=''
headers=''

main() {
  if ! command -v curl >/dev/null 2>&1; then
    stop 'curl is missing: install it (apt-get install curl, brew install curl) and run this again.'
  fi
  work="$(mktemp -d)" || stop 'No temporary folder can be made: set TMPDIR to one that can be written to.'
  trap 'rm -rf "$work"' EXIT
  trap 'exit 130' INT TERM
  # curl gets passwords and tokens in files, because everybody can read command lines.
  umask 077
  demand_a_listener

  check_health
  check_logins
  check_previews
  check_translations
  check_invoices
  check_job_runs

  printf '\n%s checks of %s: %s passed, %s failed\n' "$((passed + failed))" "$BASE_URL" "$passed" "$failed"
  [ "$failed" -eq 0 ]
}

check_health() {
  request GET /health/live
  expect_status 'health: the process is live' 200
  request GET /health/ready
  expect_status 'health: the API is ready' 200
  request GET /health/jobs
  expect_status 'health: a worker lives, and no job is late' 200
  request GET /docs
  expect_status 'docs: GET /docs' 200
}

check_logins() {
  log_in owner "${OWNER_EMAIL:-owner@example.com}" "${OWNER_PASSWORD:-$PASSWORD}"
  owner_token="$token"
  log_in admin "${ADMIN_EMAIL:-admin@example.com}" "${ADMIN_PASSWORD:-$PASSWORD}"
  admin_token="$token"
  log_in staff "${STAFF_EMAIL:-staff@example.com}" "${STAFF_PASSWORD:-$PASSWORD}"
  staff_token="$token"

  request POST /api/auth/login "$(credentials "${OWNER_EMAIL:-owner@example.com}" "not-$PASSWORD")"
  expect_status 'log-in: a wrong password is refused' 401
}

# log_in ROLE EMAIL PASSWORD: sets token, which is empty when the log-in fails.
log_in() {
  local role="$1"
  request POST /api/auth/login "$(credentials "$2" "$3")"
  token="$(field token)"
  if [ -n "$token" ]; then
    expect "log-in: $2 as $role" "200 $role" "$status $(field role)"
  else
    expect "log-in: $2 as $role" "200 $role and a token" "$status$(describe_reply)"
  fi
}

credentials() {
  printf '{"email":"%s","password":"%s"}' "$(escape "$1")" "$(escape "$2")"
}

check_previews() {
  local preview id
  request POST /api/preview-sessions '{"label":"verify.sh","ttlSeconds":600}' "$staff_token"
  expect_status 'preview: staff may create one' 201
  preview="$(field token)"
  id="$(field id)"
  request GET "/api/public/preview/${preview:-none}"
  expect 'preview: its token is valid' '200 valid true' "$status valid $(field valid)"

  request POST "/api/preview-sessions/${id:-none}/revoke" '' "$staff_token"
  expect_status 'preview: staff may revoke it' 200
  request GET "/api/public/preview/${preview:-none}"
  expect 'preview: the revoked one is rejected' '410 revoked' "$status $(field reason)"

  request POST /api/preview-sessions '{"label":"verify.sh","expiresAt":"2020-01-01T00:00:00Z"}' "$staff_token"
  expect_status 'preview: one that has expired is created' 201
  preview="$(field token)"
  request GET "/api/public/preview/${preview:-none}"
  expect 'preview: the expired one is rejected' '410 expired' "$status $(field reason)"

  request GET /api/public/preview/0000000000000000000000000000000000000000000
  expect_status 'preview: an unknown token is rejected' 404
  request POST /api/preview-sessions '{"label":"verify.sh","ttlSeconds":600}'
  expect_status 'preview: nobody may create one without a token' 401
}

check_translations() {
  local locale key cache tried=0
  for locale in en de fr; do
    for key in $TRANSLATIONS; do
      request GET "/api/i18n/$locale/$key"
      cache="$(header x-cache)"
      tried=$((tried + 1))
      # Anything but a hit ends the search: the miss that it looks for, or a failure to report.
      [ "$status $cache" = '200 hit' ] || break 2
    done
  done
  if [ "$status $cache" = '200 hit' ]; then
    # Earlier runs have filled the cache, which is no fault. The line says that nothing missed.
    report PASS 'i18n: first look-up' "(got 200 x-cache: hit; all $tried translations were cached already)"
    passed=$((passed + 1))
  else
    expect "i18n: first look-up of $locale/$key" '200 x-cache: miss' "$status x-cache: ${cache:-none}"
  fi
  request GET "/api/i18n/$locale/$key"
  expect "i18n: second look-up of $locale/$key" '200 x-cache: hit' "$status x-cache: $(header x-cache)"
  request GET /api/i18n/en/verify.no-such-key
  expect_status 'i18n: an unknown key' 404
}

check_invoices() {
  local id email invoice
  invoice='{"customer":{"name":"Example GmbH","address":["1 Example Street"]},"currency":"EUR","locale":"de-DE",
    "lines":[{"description":"verify.sh","quantity":"1.5","unitPriceMinor":9999,"taxRateBasisPoints":1900}]}'
  request POST /api/invoices "$invoice" "$staff_token"
  expect_status 'invoices: staff may issue one' 201
  id="$(field id)"
  request POST /api/invoices "$invoice"
  expect_status 'invoices: nobody may without a token' 401
  request GET "/api/invoices/${id:-none}/pdf" '' "$staff_token"
  expect_status 'invoices: a PDF that was not asked for' 404
  request POST "/api/invoices/${id:-none}/pdf" '' "$staff_token"
  expect_status 'invoices: its PDF is asked for' 202
  request_when_done GET "/api/invoices/${id:-none}/pdf" '' "$staff_token"
  expect 'invoices: a worker renders it' '200 %PDF' "$status ${reply:0:4}"
  request POST "/api/invoices/${id:-none}/email" '{"to":"verify@example.com"}' "$staff_token"
  expect_status 'invoices: it is to be mailed' 202
  email="$(field messageId)"
  request_when_done GET "/api/emails/${email:-none}" '' "$staff_token"
  expect 'invoices: a worker mails it' '200 sent' "$status $(field status)"
}

check_job_runs() {
  local unsigned
  request GET '/api/jobs/runs?limit=50' '' "$admin_token"
  expect_runs 'job runs: admin may read them'
  request GET '/api/jobs/runs?limit=50' '' "$owner_token"
  expect_runs 'job runs: owner may read them'
  request GET '/api/jobs/runs?limit=50' '' "$staff_token"
  expect_status 'job runs: staff may not' 403
  request GET '/api/jobs/runs?limit=50'
  expect_status 'job runs: nobody may without a token' 401
  # The owner's own claims, with a foreign signature, and with none.
  request GET '/api/jobs/runs?limit=50' '' "${owner_token%.*}.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
  expect_status 'job runs: a forged token is rejected' 401
  unsigned="${owner_token#*.}"
  request GET '/api/jobs/runs?limit=50' '' "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.${unsigned%.*}."
  expect_status 'job runs: an unsigned token is rejected' 401
  request GET '/api/jobs/runs?limit=0' '' "$admin_token"
  expect_status 'job runs: a limit of 0 is refused' 400
}

expect_runs() {
  local count
  if [ "$status" = 200 ] && [[ "$reply" == *'"runs":['* ]]; then
    count="$(printf '%s' "$reply" | grep -o '"startedAt"' | wc -l | tr -d ' ')"
    report PASS "$1" "(got 200 with $count runs)"
    passed=$((passed + 1))
  else
    expect "$1" '200 with runs' "$status$(describe_reply)"
  fi
}

expect_status() {
  if [ "$status" = "$2" ]; then expect "$1" "$2" "$status"
  else expect "$1" "$2" "$status$(describe_reply)"
  fi
}

expect() {
  if [ "$3" = "$2" ]; then
    report PASS "$1" "(got $3)"
    passed=$((passed + 1))
  else
    report FAIL "$1" "(expected $2, got $3)"
    failed=$((failed + 1))
  fi
}

report() {
  printf '%s  %-46s  %s\n' "$1" "$2" "$3"
}

# request METHOD PATH [BODY] [TOKEN]: sets status, reply and headers. When HTTP fails, the status is 000 and the reply
# is curl's message.
request() {
  local method="$1" path="$2" body="${3:-}" bearer="${4:-}"
  : >"$work/headers"
  : >"$work/reply"
  {
    printf 'request = %s\n' "$method"
    if [ -n "$body" ]; then
      printf '%s' "$body" >"$work/body"
      printf 'header = "content-type: application/json"\ndata-binary = "@%s"\n' "$work/body"
    fi
    if [ -n "$bearer" ]; then printf 'header = "authorization: Bearer %s"\n' "$bearer"; fi
  } >"$work/options"
  status="$(run_curl --config "$work/options" --dump-header "$work/headers" --output "$work/reply" \
    --write-out '%{http_code}' "$BASE_URL$path" 2>"$work/error")"
  curl_exit=$?
  headers="$(<"$work/headers")"
  headers="${headers//$'\r'/}"
  # bash leaves zero bytes out, and newer versions warn of it.
  { reply="$(<"$work/reply")"; } 2>/dev/null
  if [ "$curl_exit" -ne 0 ]; then
    status=000
    reply="$(head -n 1 "$work/error")"
  fi
}

# Repeats a request once a second while a worker still has to do its part, for PATIENCE seconds at most.
request_when_done() {
  local left="$PATIENCE"
  while request "$@"; [ "$left" -gt 0 ] && { [ "$status" = 202 ] || [[ "$reply" == *'"queued"'* ]]; }; do
    left=$((left - 1))
    sleep 1
  done
}

run_curl() {
  # ~/.curlrc could change what is checked, and a proxy can't reach this machine's own addresses.
  case "$BASE_URL" in
    *://127.* | *://localhost* | *://\[::1\]*) curl -q -sS --noproxy '*' --max-time "$TIMEOUT" "$@" ;;
    *) curl -q -sS --max-time "$TIMEOUT" "$@" ;;
  esac
}

demand_a_listener() {
  request GET /health/live
  case "$curl_exit" in
    # curl's codes for a malformed URL, an unknown host, a refused connection and a time-out.
    1 | 3 | 5 | 6 | 7 | 28)
      stop "Nothing answers at $BASE_URL: ${reply#curl: (*) }.
Start it with: npx -y pnpm@12 start, or name where it runs: BASE_URL=http://host:port" ;;
  esac
}

# field NAME: the value of the last field of this name in the reply, a string, a number or a word.
field() {
  local pattern=".*\"$1\" *: *\"?([^\",}]*)"
  if [[ "$reply" =~ $pattern ]]; then printf '%s' "${BASH_REMATCH[1]}"; fi
}

# header NAME: the value of a header. Called in a subshell, so nocasematch ends with it.
header() {
  local name value found=''
  shopt -s nocasematch
  while IFS=': ' read -r name value; do
    if [[ "$name" == "$1" ]]; then found="$value"; fi
  done <<<"$headers"
  printf '%s' "$found"
}

# The beginning of an unexpected reply, on one line.
describe_reply() {
  local text
  text="$(printf '%s' "$reply" | tr '\n' ' ' | cut -c 1-160)"
  if [ -n "$text" ]; then printf ': %s' "$text"; fi
}

escape() {
  local text="${1//\\/\\\\}"
  printf '%s' "${text//\"/\\\"}"
}

stop() {
  printf '%s\n' "$1" >&2
  exit 2
}

main
