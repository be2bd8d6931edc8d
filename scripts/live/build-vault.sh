#!/usr/bin/env bash
# build-vault.sh FILE: the program `vault` 1.21.4, from the Go module proxy, without the web UI and without the plugins
# that its own build tag `minimal` leaves out; transit, approle and token are in it. For tests: it goes into no package.
#
# Vault is built in its own repository, beside a state of its SDK that was never tagged. The nearest tag, and the one
# that its go.mod names, is sdk v0.21.0; three lines that use what came later are changed, none of them on the way of a
# request that we send: the name in an observation of transit/restore, and the activation of Enterprise features.
set -euo pipefail
file=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

cd "$work"
go mod download github.com/hashicorp/vault@v1.21.4
cp -R "$(go env GOMODCACHE)/github.com/hashicorp/vault@v1.21.4" source
chmod -R u+w source
cd source

# change FILE FROM TO: one line; fails where it is not there
change() {
  grep -qF -- "$2" "$1" || { echo "$1 has no line with: $2" >&2; exit 1; }
  FROM=$2 TO=$3 perl -pi -e 's/\Q$ENV{FROM}\E/$ENV{TO}/' "$1"
}
sed -i '/^replace github.com\/hashicorp\/vault/d' go.mod
change builtin/logical/transit/path_restore.go 'err := b.lm.RestorePolicy(' 'err := keyName, b.lm.RestorePolicy('
change vault/identity_store.go 'ActivationFunc: iStore.activateDeduplication,' ''
change vault/logical_system_activation_flags.go 'ActivationFunc(ctx, nil)' 'ActivationFunc(ctx, nil, "")'

nice go build -mod=mod -buildvcs=false -tags minimal -trimpath -ldflags '-s -w' -o "$file.tmp" .
mv "$file.tmp" "$file"
