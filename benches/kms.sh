#!/bin/sh
# What a tree of a thousand files costs whose data keys are wrapped by two keys of AWS KMS, played by moto on this machine:
# one Python process, so that most of the time is its own. Prints seconds and calls.
# Usage: benches/kms.sh [FOLDER WITH sops-rs]      (the default is target/release; .ci/run makes target/venv)
set -eu
project=$(cd "$(dirname "$0")/.." && pwd)
bin=$(cd "${1:-$project/target/release}" && pwd)
export PATH="$bin:$PATH"
root=$(mktemp -d)
server=
finish() {
  sops-rs agent stop > /dev/null 2>&1 || true
  [ -z "$server" ] || kill "$server" 2> /dev/null || true
  rm -rf "$root"
}
trap finish EXIT
export HOME="$root" XDG_CONFIG_HOME="$root/.config" XDG_RUNTIME_DIR="$root"
export AWS_ACCESS_KEY_ID=bench AWS_SECRET_ACCESS_KEY=bench AWS_REGION=eu-west-1
unset CI SOPS_AGE_KEY_FILE SOPS_RS_AGENT 2> /dev/null || true

# The server of the tests, asked through two pipes.
mkfifo "$root/ask" "$root/answer"
"$project/target/venv/bin/python" "$project/tests/it/backends/aws/server.py" < "$root/ask" > "$root/answer" &
server=$!
exec 3> "$root/ask" 4< "$root/answer"
answer() { read -r line <&4; echo "$line" | sed 's/.*: "\{0,1\}\([^"}]*\)"\{0,1\}}/\1/'; }
ask() { echo "$1" >&3; answer; }
AWS_ENDPOINT_URL=$(answer)
export AWS_ENDPOINT_URL

cd "$root"
one=$(ask "create_key('eu-west-1')")
other=$(ask "create_key('eu-west-1')")
printf 'creation_rules:\n  - kms: ["%s", "%s"]\n' "$one" "$other" > .sops-rs.yaml
mkdir tree
i=0
while [ $i -lt 1000 ]; do
  seq 0 19 | sed "s/.*/key&: a secret value, number & of $i/" > "tree/$i.yaml"
  i=$((i + 1))
done

calls() { ask "calls('bench', 'Encrypt') + calls('bench', 'Decrypt')"; }
measure() { # WHAT COMMAND…
  what=$1
  shift
  before=$(calls)
  begin=$(date +%s%N)
  "$@" > /dev/null
  end=$(date +%s%N)
  after=$(calls)
  echo "$what $(( (end - begin) / 1000000 )) $((after - before))" |
    awk '{ n = NF; s = $(n - 1); c = $n; $(n - 1) = $n = ""; printf "%-46s %6.2f s  %5d calls\n", $0, s / 1000, c }'
}
measure "encrypt -i -r" sops-rs encrypt -i -r tree
measure "updatekeys --check -r" sops-rs updatekeys --check -r tree
measure "keys list" sops-rs keys list tree
measure "decrypt -r" sops-rs decrypt -r --output-dir plain tree
eval "$(sops-rs agent start)"
export SOPS_RS_AGENT
measure "decrypt -r, through an agent that knows no key" sops-rs decrypt -r --output-dir plain2 tree
measure "decrypt -r, through an agent that knows all" sops-rs decrypt -r --output-dir plain3 tree
echo "at once, at most: $(ask "most['bench']")"
