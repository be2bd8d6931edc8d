#!/usr/bin/env bash
# npm run check:node-versions [-- COMMAND...]
#
# The promise of the README: `npm install` and then `npm start` and `npm test` work on a machine that has only
# Node 20, 22 or 24, with npm 10 or 11. Slow: four times a fresh install and the whole of the tests.
# COMMAND... replaces the two commands: npm run check:node-versions -- "npm start".
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

machines=("20.20.2 10.9.9" "20.20.2 11.19.1" "22.23.3 10.9.9" "24.21.0 11.21.2")
commands=("$@")
if [ ${#commands[@]} = 0 ]; then commands=("npm start" "npm test"); fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# A machine's commands, without any Node.
mkdir "$work/tools"
ln -s /usr/bin/* "$work/tools" 2> /dev/null || true
ln -s /bin/* "$work/tools" 2> /dev/null || true
rm -f "$work"/tools/{node,nodejs,npm,npx,corepack}

# What a clone of this tree would hold.
git ls-files -z --cached --others --exclude-standard > "$work/files"

# npm 10 drops what it does not know (libc) from the lockfile; the versions stay.
export LOCKED='for (const [name, { version }] of Object.entries(require(process.cwd() + "/package-lock.json").packages))
  console.log(name, version)'
node -e "$LOCKED" > "$work/locked"
same_versions="node -e \"\$LOCKED\" | diff '$work/locked' -"

failed=0
for machine in "${machines[@]}"; do
  read -r node npm <<< "$machine"
  echo
  echo "=== Node $node, npm $npm"
  host=$work/host-$node-$npm
  mkdir "$host"
  echo '{ "private": true, "allowScripts": { "node": true } }' > "$host/package.json"
  npm install --prefix "$host" --silent --no-audit --no-fund "node@$node" "npm@$npm"

  clone=$work/clone-$node-$npm
  mkdir "$clone"
  tar --create --null --files-from="$work/files" --ignore-failed-read 2> /dev/null | tar --extract --directory="$clone"

  for command in "npm install --no-audit --no-fund" "$same_versions" "${commands[@]}"; do
    start=$SECONDS
    if (
      cd "$clone"
      unset "${!npm_@}" NODE INIT_CWD # this script may itself run under npm
      PATH=$host/node_modules/.bin:$work/tools bash -c "$command" < /dev/null > "$work/log" 2>&1
    ); then
      echo "ok    $command ($((SECONDS - start)) s)"
    else
      failed=$((failed + 1))
      echo "FAIL  $command ($((SECONDS - start)) s)"
      tail -n 60 "$work/log"
    fi
  done
  rm -rf "$clone" "$host"
done

echo
echo "$failed failed"
[ "$failed" = 0 ]
