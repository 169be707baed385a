#!/bin/sh
# Takes the Swagger UI that microdemo_core serves from the npm package swagger-ui-dist: `make swagger-ui VERSION=5.35.0`.
# npm checks the package's integrity hash. The two big files are kept gzipped, as they are sent; -n leaves the time out,
# so the same version gives the same bytes.
set -eu
version=${1:?which version of swagger-ui-dist?}
target=$(cd "$(dirname "$0")" && pwd)/src/microdemo_core/swagger_ui
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
npm pack --silent "swagger-ui-dist@$version" >/dev/null
tar -xzf swagger-ui-dist-*.tgz
for file in swagger-ui-bundle.js swagger-ui.css; do
    gzip -9 -n -c "package/$file" >"$target/$file.gz"
done
cp package/LICENSE package/NOTICE package/swagger-ui-bundle.js.LICENSE.txt "$target/"
printf '%s\n' "$version" >"$target/VERSION"
ls -l "$target"
