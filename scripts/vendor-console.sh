#!/usr/bin/env bash
# Fetches the console's third-party modules, and the accessibility checker of its tests, at the versions named here, and writes beside
# them which they are (vendor.lock: sha256, file, package, version, path in the package, licence). For developers: nobody needs npm to
# run, install or test llmgw. Bare imports become relative ones, since browsers know no others without an import map.
# usage: vendor-console.sh
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# vendor DIR FILE PACKAGE VERSION PATH LICENCE
vendor() {
    local unpacked=$work/${3//\//-}-$4
    if [ ! -d "$unpacked" ]; then
        mkdir "$unpacked"
        (cd "$unpacked" && tar -xzf "$(npm pack --silent "$3@$4")")
    fi
    sed -e '/^\/\/# sourceMappingURL=/d' -e 's|//# sourceMappingURL=.*$||' \
        -e 's|from"preact/hooks"|from"./hooks.js"|g' -e 's|from"preact"|from"./preact.js"|g' \
        -e 's|from"@preact/signals-core"|from"./signals-core.js"|g' "$unpacked/package/$5" >"$1/$2"
    for licence in LICENSE LICENSE-3RD-PARTY.txt; do
        if [ -e "$unpacked/package/$licence" ]; then cp "$unpacked/package/$licence" "$1/$licence.${3##*/}"; fi
    done
    (cd "$1" && printf '%s  %s  %s %s %s (%s)\n' "$(sha256sum "$2" | cut -d ' ' -f 1)" "$2" "$3" "$4" "$5" "$6") >>"$1/vendor.lock"
}

console=gateway/console/vendor
checker=tests/console/vendor
for folder in $console $checker; do
    rm -rf "$folder"
    mkdir -p "$folder"
done
vendor $console preact.js preact 11.2.0 dist/preact.mjs MIT
vendor $console hooks.js preact 11.2.0 hooks/dist/hooks.mjs MIT
vendor $console htm.js htm 3.1.1 dist/htm.module.js Apache-2.0
vendor $console signals-core.js @preact/signals-core 1.14.5 dist/signals-core.mjs MIT
vendor $console signals.js @preact/signals 2.11.4 dist/signals.mjs MIT
vendor $checker axe.min.js axe-core 4.14.1 axe.min.js MPL-2.0
