# Programs that come from the system's package manager: installed where this is root on Debian, named where it is not.

# need PURPOSE COMMAND=PACKAGE... : every COMMAND exists afterwards.
need() {
  local purpose=$1 pair missing=()
  shift
  for pair in "$@"; do
    command -v "${pair%%=*}" >/dev/null || missing+=("${pair#*=}")
  done
  [ ${#missing[@]} -eq 0 ] || install_packages "$purpose" "${missing[@]}"
}

install_packages() {
  local purpose=$1
  shift
  if [ "$(id -u)" -ne 0 ] || ! command -v apt-get >/dev/null; then
    die "$purpose needs these packages, please install them and run this again: apt-get install $*"
  fi
  step "Installing $* ($purpose)" apt_install "$@"
}

apt_install() {
  export DEBIAN_FRONTEND=noninteractive
  # A third-party source that does not answer must not stop us: whether it worked is judged by the install.
  apt-get -o DPkg::Lock::Timeout=600 update || true
  apt-get -o DPkg::Lock::Timeout=600 install -y --no-install-recommends "$@"
}
