#!/bin/sh
# What git costs with sealed files: a history of a thousand commits, diffs across hundreds of files, merges of hundreds.
# Prints seconds, each beside the same with `cat` as textconv, or with git's own merge of plain text.
# Usage: benches/git.sh [FOLDER WITH sops-rs]      (the default is target/release)
set -eu
bin=$(cd "${1:-$(dirname "$0")/../target/release}" && pwd)
export PATH="$bin:$PATH"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT
export HOME="$root" XDG_CONFIG_HOME="$root/.config"
unset CI SOPS_AGE_KEY_FILE 2>/dev/null || true
git config --global user.name Bench
git config --global user.email bench@example.com
git config --global init.defaultBranch main
git config --global gc.auto 0

once() {
  begin=$(date +%s%N)
  "$@" > /dev/null 2>&1
  end=$(date +%s%N)
  echo "$(( (end - begin) / 1000000 ))"
}

shown() {
  sort -n | head -1 | awk '{ printf "%.2f s", $1 / 1000 }'
}

seconds() { # the best of three
  { once "$@"; once "$@"; once "$@"; } | shown
}

repository() {
  git init -q "$root/$1"
  cd "$root/$1"
  sops-rs init > /dev/null
}

entries() { # COUNT
  seq 0 "$(($1 - 1))" | sed 's/.*/key&: a secret value, number &/'
}

# A thousand commits, each of which changes one value of one of ten files of fifty values.
repository history
mkdir secrets
for n in 0 1 2 3 4 5 6 7 8 9; do
  entries 50 > "secrets/$n.yaml"
  sops-rs encrypt -i "secrets/$n.yaml"
done
sops-rs git install > /dev/null
git add -A && git commit -qm base
i=0
while [ $i -lt 1000 ]; do
  SOPS_EDITOR="sed -i s/^key$((i % 50)):.*/key$((i % 50)):\ changed\ $i/" sops-rs edit "secrets/$((i % 10)).yaml"
  git commit -qam "$i"
  i=$((i + 1))
done
echo "git log -p, 1,000 commits:   sops-rs $(seconds git log -p)   cat $(seconds git -c diff.sops.textconv=cat log -p)"

# Five hundred files, all changed in the work tree.
repository wide
mkdir secrets
i=0
while [ $i -lt 500 ]; do
  entries 20 > "secrets/$i.yaml"
  i=$((i + 1))
done
for file in secrets/*.yaml; do sops-rs encrypt -i "$file"; done
sops-rs git install > /dev/null
git add -A && git commit -qm base
for file in secrets/*.yaml; do SOPS_EDITOR="sed -i s/^key7:.*/key7:\ new/" sops-rs edit "$file"; done
echo "git diff, 500 files:         sops-rs $(seconds git diff)   cat $(seconds git -c diff.sops.textconv=cat diff)"

# Two hundred files, changed on both sides, against the same in plain text.
repository merge
mkdir secrets p
i=0
while [ $i -lt 200 ]; do
  entries 20 > "p/$i.yaml"
  sops-rs encrypt --filename-override "secrets/$i.yaml" --output "secrets/$i.yaml" "p/$i.yaml"
  i=$((i + 1))
done
sops-rs git install > /dev/null
git add -A && git commit -qm base
git checkout -qb topic
for file in secrets/*.yaml; do SOPS_EDITOR="sed -i s/^key3:.*/key3:\ theirs/" sops-rs edit "$file"; done
git commit -qam "sealed"
git checkout -qb plain main
sed -i 's/^key3:.*/key3: theirs/' p/*.yaml
git commit -qam "plain"
git checkout -q main
for file in secrets/*.yaml; do SOPS_EDITOR="sed -i s/^key9:.*/key9:\ ours/" sops-rs edit "$file"; done
sed -i 's/^key9:.*/key9: ours/' p/*.yaml
git commit -qam "both"
echo "git merge, 200 files:        sops-rs $(once git merge -m merged topic | shown)   plain text $(once git merge -m merged plain | shown)"
test -z "$(git status --porcelain)"
for file in secrets/*.yaml; do sops-rs decrypt "$file" | grep -q 'key3: theirs' && sops-rs decrypt "$file" | grep -q 'key9: ours'; done
