#!/usr/bin/env bash
# Installs every package that a build or a test of this project needs, on Debian 12. Does nothing,
# quickly, when all are there. Runs as root or with sudo.
set -euo pipefail

packages=(
  # compilers and build tools
  g++ clang libclang-rt-14-dev cmake ninja-build mold ccache pkg-config make git clang-format
  # what the product is built with
  libboost1.81-dev libboost-program-options1.81-dev libboost-filesystem1.81-dev
  libboost-json1.81-dev libprotobuf-dev protobuf-compiler libgrpc++-dev protobuf-compiler-grpc
  libsqlite3-dev libtomlplusplus-dev libspdlog-dev liburing-dev libxxhash-dev libssl-dev
  liblua5.4-dev libhwloc-dev
  # what the tests are built with
  libgtest-dev libgmock-dev libbenchmark-dev
  # what the tests run
  python3 sqlite3 openssl e2fsprogs mount faketime spin
  # what the Python client is built and tested with (torch: 150 MB to fetch, 640 MB on disk)
  python3-dev python3-venv python3-pip python3-setuptools python3-wheel python3-numpy
  python3-grpcio python3-protobuf python3-fsspec python3-pytest python3-torch mypy
  # what `make perf` compares with
  redis-server memcached
)

missing=()
for package in "${packages[@]}"; do
  state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
  echo "set-up: all ${#packages[@]} packages are installed"
  exit 0
fi

as_root=()
[ "$(id -u)" = 0 ] || as_root=(sudo)
echo "set-up: installing ${missing[*]}"
"${as_root[@]}" apt-get update -qq
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -y -qq --no-install-recommends "${missing[@]}"
