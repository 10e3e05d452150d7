#!/usr/bin/env bash
# Makes every image of Containerfile, with podman, of what build.sh has put into a
# folder. Needs no registry.
#
#	deploy/images.sh <folder>
set -euo pipefail
[ $# = 1 ] || { echo "usage: deploy/images.sh <folder>" >&2; exit 2; }
file=$(dirname "${BASH_SOURCE[0]}")/Containerfile
for target in $(sed -n 's/^FROM base AS //p' "$file"); do
	podman --cgroup-manager=cgroupfs build --quiet -f "$file" --target "$target" -t "localhost/gatehouse/$target" \
		--build-context "build=$1" "$1" >/dev/null
done
