# The virtual environments: one a purpose, each from one pinned requirement file, each finished or not there.
#   .venv         scripts/test and scripts/lint: Home Assistant as the test plugin pins it
#   .venv-demo    scripts/develop: the newest Home Assistant with all that its start needs
#   .venv-server  scripts/server: no Home Assistant

# environment_dir NAME
environment_dir() { if [ "$1" = test ]; then echo "$ROOT/.venv"; else echo "$ROOT/.venv-$1"; fi; }

environment_hash() { fingerprint "requirements/$1.txt" requirements/build.txt scripts/lib/environments.sh scripts/lib/python.sh; }

environment_is_ready() {
  local dir
  dir=$(environment_dir "$1")
  is_stamped "$dir/.ready" "$(environment_hash "$1")" && [ -x "$dir/bin/python" ]
}

# make_environment NAME
make_environment() {
  local dir hash
  dir=$(environment_dir "$1")
  hash=$(environment_hash "$1")
  ! environment_is_ready "$1" || return 0
  need "Building Python packages from their sources" \
    gcc=gcc make=make ld=binutils autoconf=autoconf automake=automake libtoolize=libtool
  [ "$1" != demo ] || need "Building Home Assistant's requirements from their sources" g++=g++
  [ -e /usr/include/stdio.h ] || install_packages "Building Python packages from their sources" libc6-dev
  ensure_uv
  ensure_python
  # A half-made environment has no stamp, one of another interpreter is of no use: both are made anew.
  if [ ! -f "$dir/.ready" ] || [ "$(readlink -f "$dir/bin/python")" != "$(readlink -f "$PYTHON")" ]; then
    "$UV" --quiet venv --clear --python "$PYTHON" "$dir"
  fi
  rm -f "$dir/.ready"
  step "Installing $(grep -c == "requirements/$1.txt") packages into ${dir##*/}" install_requirements "$dir" "$1"
  stamp "$dir/.ready" "$hash"
}

install_requirements() {
  local include
  case $PYTHON in
    "$UNPACKED"/*)
      include="$UNPACKED/python/usr/include"
      CPATH="$include/python$PYTHON_VERSION:$include:$(dirname "$(echo "$include"/*-linux-gnu*/python*)")"
      export CPATH CC=gcc ;;
    *)
      "$PYTHON" -c 'import os, sys, sysconfig; sys.exit(not os.path.exists(sysconfig.get_path("include") + "/Python.h"))' ||
        install_packages "Building Python packages from their sources" "python$PYTHON_VERSION-dev" ;;
  esac
  "$UV" pip sync --python "$1/bin/python" --no-binary dtlssocket --build-constraints requirements/build.txt \
    "requirements/$2.txt"
}
