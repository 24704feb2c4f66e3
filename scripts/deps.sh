#!/bin/sh
# Installs what building, testing and the demo need and this machine lacks; on
# systems without apt says what that is. Quiet when nothing is missing.
set -eu

fail() {
	echo "pagoda: $*" >&2
	exit 1
}

# Go, at least the version that go.mod names.
need=$(sed -n 's/^go \([0-9]*\.[0-9]*\).*/\1/p' go.mod)
command -v go >/dev/null || fail "Go is not installed: install Go $need or newer and put it on the PATH"
have=$(go env GOVERSION 2>/dev/null) || have=$(cd / && go env GOVERSION) # go may fetch what go.mod names
have=${have#go}
[ "$(printf '%s\n%s\n' "$need" "$have" | sort -V | head -n 1)" = "$need" ] ||
	fail "Go $have is too old: install Go $need or newer"

fashion=/usr/share/datasets/fashion-mnist/train-images-idx3-ubyte.gz
[ -z "${LIBTORCH:-}" ] || [ -f "$LIBTORCH/include/ATen/ATen.h" ] ||
	fail "LIBTORCH=$LIBTORCH has no include/ATen/ATen.h: name the folder of a libtorch distribution or of Python's torch package"

# without apt: say what is missing, each with what it is for
if ! command -v apt-get >/dev/null; then
	missing=
	command -v "${CC:-gcc}" >/dev/null && command -v "${CXX:-g++}" >/dev/null || missing="$missing
  C and C++17 compilers: gcc and g++, or named by CC and CXX"
	[ -n "${LIBTORCH:-}" ] || [ -f /usr/include/ATen/ATen.h ] || missing="$missing
  libtorch 1.13 or newer, in /usr or in a folder named by LIBTORCH=/path/to/libtorch"
	[ -f "$fashion" ] || missing="$missing
  for the demo: the four files of Fashion-MNIST (*-ubyte.gz) in $(dirname "$fashion")"
	[ -z "$missing" ] || fail "this system has no apt-get; install by hand:$missing"
	exit 0
fi

packages=
want() { packages="$packages $1"; }
command -v "${CC:-gcc}" >/dev/null && command -v "${CXX:-g++}" >/dev/null || want g++
if [ -z "${LIBTORCH:-}" ]; then
	[ -f /usr/include/ATen/ATen.h ] || want libtorch-dev
	set -- /usr/lib/*/openblas-openmp/libopenblas.so.0
	[ -f "$1" ] || want libopenblas0-openmp
fi
[ -f "$fashion" ] || want dataset-fashion-mnist
[ -n "$packages" ] || exit 0

sudo=
if [ "$(id -u)" != 0 ]; then
	command -v sudo >/dev/null || fail "not root and no sudo: have an administrator run  apt-get install$packages"
	sudo=sudo
fi
apt() { $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 "$@" >"$log" 2>&1; }
log=$(mktemp)
trap 'rm -f "$log"' EXIT
echo "pagoda: installing$packages" >&2
# shellcheck disable=SC2086 # a list of packages
{ apt update && apt install --no-install-recommends -y $packages; } || {
	cat "$log" >&2
	fail "installing failed; by hand:  apt-get install$packages"
}
