#!/bin/bash
# Installs what is needed, builds, and passes every test. The last line says `N passed, N failed`.
#   scripts/test.sh          what .ci/run runs: g++ with all tests; clang with the address and undefined-behaviour sanitizers for the unit tests, the
#                            hostile files and the simulation
#   scripts/test.sh --deep   that, and the thread sanitizer, clang-tidy, the fuzz targets, a million schedules and the full sweeps
#   scripts/test.sh --quick  g++ only, unit tests and lint: for the minutes between two edits
set -uo pipefail
cd "$(dirname "$0")/.."
mode=${1:-}

"$PWD/scripts/install-deps.sh" || { echo "installing failed" >&2; echo "0 passed, 1 failed"; exit 1; }
export CCACHE_SLOPPINESS=pch_defines,time_macros CMAKE_CXX_COMPILER_LAUNCHER=ccache CTEST_OUTPUT_ON_FAILURE=1 ASAN_OPTIONS=detect_leaks=1
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
passed=0 failed=0 skipped=0

# count FILE: adds up what ctest wrote
count() {
    read -r p f s < <(python3 - "$1" <<'PY'
import sys, xml.etree.ElementTree as tree
suite = tree.parse(sys.argv[1]).getroot()
total, failures, skipped = (int(suite.get(k, 0)) for k in ("tests", "failures", "skipped"))
skipped += int(suite.get("disabled", 0))
print(total - failures - skipped, failures, skipped)
for case in suite.iter("testcase"):
    if case.get("status") in ("notrun", "disabled"):
        print("skipped:", case.get("name"), file=sys.stderr)
PY
    )
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
}

# step NAME COMMAND...: a step that either works or counts as one failure
step() {
    local name=$1; shift
    echo "== $name"
    if "$@"; then return 0; fi
    echo "== FAILED: $name" >&2
    failed=$((failed + 1))
    return 1
}

# suite PRESET LABELS TARGETS...: builds and tests
suite() {
    local preset=$1 labels=$2; shift 2
    step "configure $preset" cmake --preset "$preset" >"$results/$preset.configure" || { cat "$results/$preset.configure"; return; }
    step "build $preset" cmake --build --preset "$preset" -j "$(nproc)" ${1:+--target "$@"} || return
    echo "== test $preset ($labels)"
    ctest --test-dir "build/$preset" -j "$(nproc)" -L "$labels" --no-tests=error --output-junit "$results/$preset.xml" | grep -vE '^ *(Start|[0-9]+/[0-9]+ Test .*(Passed))'
    if [ -s "$results/$preset.xml" ]; then count "$results/$preset.xml"; else failed=$((failed + 1)); fi
}

units() { for room in base script runbook engine report world runs stores backup actions drill cli; do ls tests/unit/$room/*.cpp >/dev/null 2>&1 && echo "unit_$room"; done; }

if [ "$mode" = --quick ]; then
    suite dev '^(unit|lint)$'
else
    [ "$mode" != --deep ] || export LIFEBOAT_DEEP=1 LIFEBOAT_SIM_SCHEDULES=1000000
    suite dev '^(unit|contract|simulation|hostile|lint|cases|crash)$'
    export LIFEBOAT_SIM_SCHEDULES=20000
    # shellcheck disable=SC2046  # a list of words
    suite asan '^(unit|hostile|simulation)$' $(units) hostile simulation
fi
if [ "$mode" = --deep ]; then
    # shellcheck disable=SC2046
    suite tsan '^(unit|simulation)$' $(units) simulation
    step "configure tidy" cmake --preset tidy >/dev/null && step "clang-tidy" cmake --build --preset tidy -j "$(nproc)" && passed=$((passed + 1))
    step "configure fuzz" cmake --preset fuzz >/dev/null && step "build fuzz" cmake --build --preset fuzz -j "$(nproc)" --target fuzz &&
        for target in build/fuzz/tests/fuzz_*; do
            step "$(basename "$target")" "$target" -max_total_time=120 -rss_limit_mb=1024 -timeout=10 "$results" && passed=$((passed + 1))
        done
fi

echo "$passed passed, $failed failed$([ "$skipped" -eq 0 ] || echo ", $skipped skipped")"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
