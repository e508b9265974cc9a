#!/usr/bin/env bash
# Shows lifeboat at work, from nothing: installs what it needs, builds it, and recovers an example in ./quickstart twice, once to the end
# and once rolled back. Ends with 0 only if everything that it says has really happened. Can be run again at any time.
set -euo pipefail
cd "$(dirname "$0")/.."

say() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
fail() { printf '\nquickstart failed: %s\n' "$*" >&2; exit 1; }
show() { printf '$ %s\n' "$*"; "$@"; }
expect_exit() {
    local expected=$1 code=0
    shift
    show "$@" || code=$?
    [ "$code" = "$expected" ] || fail "'$*' ended with $code, not with $expected"
}

say "1. Installing what the build needs, and building"
if [ -z "${LIFEBOAT:-}" ]; then
    scripts/install-deps.sh --build-only
    cmake --preset release
    cmake --build --preset release --target lifeboat
    LIFEBOAT=$PWD/build/release/lifeboat
fi
LIFEBOAT=$(realpath "$LIFEBOAT")
lifeboat() { "$LIFEBOAT" "$@"; }
lifeboat version

say "2. A throw-away shop in ./quickstart: an SQLite database and a folder of configuration"
rm -rf quickstart
show lifeboat init quickstart
cd quickstart
unset LIFEBOAT_SITE
before_database=$(sha256sum < data/shop.db)
before_config=$(cat data/config/*)

say "3. Taking a backup of both, and asking whether everything is ready for the bad day"
expect_exit 0 lifeboat backup create shop
expect_exit 0 lifeboat check

# Overwrites pages in the middle of the database and empties the configuration.
damage() {
    dd if=/dev/urandom of=data/shop.db bs=4096 seek=2 count=6 conv=notrunc status=none
    rm data/config/features.json
    printf 'workers = none\n' > data/config/shop.conf
}

say "4. The disaster: pages of the database are overwritten, the configuration is ruined"
damage
[ "$(sha256sum < data/shop.db)" != "$before_database" ] || fail "the database was not damaged"

say "5. The plan: what would be done, to what, how long it takes and how much data is lost. Nothing is touched yet"
expect_exit 0 lifeboat plan quickstart

say "6. The recovery"
expect_exit 0 lifeboat run quickstart --yes
[ "$(cat data/config/*)" = "$before_config" ] || fail "the configuration is not as it was"

say "7. The report, with the recovery time (RTO) and the data loss (RPO) that were really reached"
expect_exit 0 lifeboat report
report=$(lifeboat report --format json)
grep -q '"verdict": "recovered"' <<< "$report" || fail "the run says that it did not recover"
for figure in rto rpo; do
    sed -n '/"reached": {/,/}/p' <<< "$report" | grep -Eq "\"$figure\": [0-9]" || fail "the report does not say $figure"
done

say "8. A second disaster, and a recovery whose health check fails: it is rolled back, nothing is left half done"
damage
damaged_database=$(sha256sum < data/shop.db)
damaged_config=$(cat data/config/*)
expect_exit 4 lifeboat run quickstart --yes --set least_orders=1000000
[ "$(sha256sum < data/shop.db)" = "$damaged_database" ] || fail "the database is not as it was before the second run"
[ "$(cat data/config/*)" = "$damaged_config" ] || fail "the configuration is not as it was before the second run"

say "9. And recovered for good"
expect_exit 0 lifeboat run quickstart --yes
[ "$(cat data/config/*)" = "$before_config" ] || fail "the configuration is not as it was"
expect_exit 0 lifeboat history

say "All of that has really happened. Everything is in ./quickstart: read lifeboat.yaml and runbooks/quickstart.yaml next"
