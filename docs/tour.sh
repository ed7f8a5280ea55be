#!/bin/sh
# A tour of sops-rs on a real file, in a folder and a home of its own: an identity, a sealed commit, a one-value edit, the
# diff, the plaintext again. Needs Rust and git. Run it from anywhere; it changes nothing outside its temporary folder.
set -eu

here=$(cd "$(dirname "$0")/.." && pwd)
if [ -z "${SOPS_RS:-}" ]; then
  # For keys of age alone, which is all that the tour needs: the clients of cloud services take minutes to compile.
  echo "Building sops-rs, which takes a minute or two the first time."
  cargo build --quiet --manifest-path "$here/Cargo.toml" --no-default-features --features cli --target-dir "$here/target/tour"
  SOPS_RS=$here/target/tour/debug/sops-rs
fi

tour=$(mktemp -d)
trap 'rm -rf "$tour"' EXIT
HOME=$tour/home
mkdir "$HOME" "$tour/repository" "$tour/bin"
ln -s "$SOPS_RS" "$tour/bin/sops-rs"
PATH=$tour/bin:$PATH
export HOME PATH
unset XDG_CONFIG_HOME SOPS_AGE_KEY SOPS_AGE_KEY_FILE SOPS_AGE_KEY_CMD SOPS_CONFIG SOPS_AGE_RECIPIENTS SOPS_KEYSERVICE SOPS_ENABLE_LOCAL_KEYSERVICE SOPS_RS_AGENT 2>/dev/null || true
cd "$tour/repository"

step() {
  printf '\n\033[1m# %s\033[0m\n' "$1"
}
run() {
  printf '$ %s\n' "$*"
  "$@"
}

git init --quiet .
git config user.name Tour
git config user.email tour@example.org

step 'An identity for you, and a config for the repository'
run sops-rs init

step 'A file with secrets'
mkdir secrets
cat > secrets/prod.yaml <<'YAML'
# The production database.
database:
  host: db.example.com
  port: 5432
  password: "hunter2"   # rotated every month

replicas: [ 'r1.example.com', r2.example.com ]
tls_key: |
  -----BEGIN EXAMPLE KEY-----
  MIIB
  -----END EXAMPLE KEY-----
region_unencrypted: eu-west-1
YAML
cp secrets/prod.yaml "$tour/written.yaml"
run cat secrets/prod.yaml

step 'Seal it in place: keys and layout stay, values become tokens'
run sops-rs encrypt --in-place secrets/prod.yaml
run cat secrets/prod.yaml
run git add .
run git commit --quiet -m 'Add the production secrets, sealed'

step 'Change one value in an editor'
cat > "$tour/editor" <<'EDITOR'
#!/bin/sh
sed 's/hunter2/correct horse/' "$1" > "$1.new" && mv "$1.new" "$1"
EDITOR
chmod +x "$tour/editor"
printf '$ EDITOR=… sops-rs edit secrets/prod.yaml\n'
EDITOR=$tour/editor sops-rs edit secrets/prod.yaml

step 'One changed value is a one-line diff, plus when and the MAC'
run git --no-pager diff --stat
git --no-pager diff --unified=0

step 'Open it: byte for byte what was written, but for that value'
run sops-rs decrypt secrets/prod.yaml
sed 's/hunter2/correct horse/' "$tour/written.yaml" > "$tour/wanted.yaml"
sops-rs decrypt secrets/prod.yaml | cmp - "$tour/wanted.yaml"

printf '\nThe tour is over; its folder is removed.\n'
