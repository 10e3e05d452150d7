#!/usr/bin/env bash
# Builds what images are made of into a folder: a static program for each, the
# authorities' certificates, a user, and folders that belong to that user.
#
#	deploy/build.sh <folder>
#
# Containerfile runs it in an image with Go; make images runs it with the Go that is
# there, and needs no registry.
set -euo pipefail
[ $# = 1 ] || { echo "usage: deploy/build.sh <folder>" >&2; exit 2; }
mkdir -p "$1"
out=$(cd "$1" && pwd)
cd "$(dirname "${BASH_SOURCE[0]}")/.."
export CGO_ENABLED=0 GOFLAGS="${GOFLAGS:-} -buildvcs=false"

mkdir -p "$out/bin" "$out/etc/ssl/certs"
build() { go build -ldflags='-s -w' -o "$out/bin/$1" "$2"; }
for service in identity-sync request approval provisioning audit gateway; do
	build "$service" "gatehouse.dev/services/$service/cmd"
done
build gatehouse gatehouse.dev/services/standalone/cmd
# The real one, of the version that go.mod names.
(cd services && build nats-server github.com/nats-io/nats-server/v2)

cp /etc/ssl/certs/ca-certificates.crt "$out/etc/ssl/certs/"
echo 'nonroot:x:65532:65532:nonroot:/:/' >"$out/etc/passwd"
echo 'nonroot:x:65532:' >"$out/etc/group"
# A volume takes its owner and its mode from the folder of the image that it covers.
install -d -m 700 "$out/empty" "$out/init" "$out/init"/{authority,identity-sync,request,approval,provisioning,audit,gateway,postgres,nats,collector,operator}
