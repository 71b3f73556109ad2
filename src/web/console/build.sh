#!/bin/bash
# Builds the pages of the console into target/console; says nothing when there is nothing to do.
#
#   src/web/console/build.sh          builds
#   src/web/console/build.sh check    builds, and checks types and lints
#
# Stamps in target/ hold a sum of what each step was made from, so a step is done again when that changes.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
root="$(cd "$here/../../.." && pwd)"
cd "$here"
[ ! -x "$root/target/node/bin/node" ] || export PATH="$root/target/node/bin:$PATH"
mkdir -p "$root/target"

if ! command -v npm >/dev/null; then
    echo "console: there is no npm; run: make console" >&2
    exit 1
fi

# The sum of what the step is made from: names and contents.
sum_of() {
    find "$@" -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum
}

# step NAME SUM PROOF COMMAND...: runs it unless the stamp says it was done and its PROOF is there.
step() {
    local name="$1" sum="$2" proof="$3" stamp="$root/target/console-$1.stamp"
    shift 3
    if [ -e "$proof" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$sum" ]; then
        return 0
    fi
    echo "console: $*"
    rm -f "$stamp"
    "$@"
    echo "$sum" >"$stamp"
}

# The folder too: the same commit elsewhere has modules of its own.
modules="$here $(sum_of package.json package-lock.json)"
sources="$modules $(sum_of index.html vite.config.ts tsconfig.json public src tools)"
step modules "$modules" node_modules/vite npm ci --no-progress --loglevel=error
step build "$sources" "$root/target/console/index.html" npm run --silent build -- --logLevel warn
if [ "${1:-}" = check ]; then
    step check "$sources $(sum_of eslint.config.js tsconfig.test.json)" package.json npm run --silent check
fi
