#!/bin/sh
# Installs from the distribution what Photospine needs, and does nothing where it is there already.
#   docker/install.sh run     to run it: Orthanc with its Python and DICOMweb plugins, libpq, jpegtran, Node's npm
#   docker/install.sh image   the same without npm, for the container image
#   docker/install.sh test    to test it as well: dcmtk, dicom3tools, Chromium, PostgreSQL, exiftool, libfaketime, wrk
#   docker/install.sh full    to build and run the image in tests as well: buildah, and what makes its base and network
# Debian 12 and 13. Needs root for what is missing; says so otherwise.
set -eu

run_packages="ca-certificates orthanc orthanc-python orthanc-dicomweb openssl python3-venv python3-cryptography libpq5 libjpeg-turbo-progs tzdata"
test_packages="dcmtk dicom3tools chromium chromium-headless-shell postgresql libimage-exiftool-perl libfaketime wrk unzip"
full_packages="buildah debootstrap debian-archive-keyring iproute2 util-linux"

case "${1:-run}" in
  image) wanted="$run_packages" ;;
  run) wanted="$run_packages" ;;
  test) wanted="$run_packages $test_packages" ;;
  full) wanted="$run_packages $test_packages $full_packages" ;;
  *) echo "usage: $0 run|test|full|image" >&2; exit 2 ;;
esac
# A Node of another origin is as good as the distribution's, which would be in its way.
[ "${1:-run}" = image ] || command -v npm >/dev/null 2>&1 || wanted="$wanted nodejs npm"

missing=""
for package in $wanted; do
  dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q "ok installed" || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

if [ "$(id -u)" != 0 ]; then
  echo "These Debian packages are missing:$missing" >&2
  echo "Install them as root:  apt-get install --no-install-recommends$missing" >&2
  exit 1
fi

# Nothing that is installed here may start by itself: the distribution's Orthanc has no wall.
policy=/usr/sbin/policy-rc.d
made_policy=0
if [ ! -e "$policy" ]; then
  printf '#!/bin/sh\nexit 101\n' > "$policy"
  chmod +x "$policy"
  made_policy=1
fi
trap '[ "$made_policy" = 0 ] || rm -f "$policy"' EXIT
export DEBIAN_FRONTEND=noninteractive
apt-get update -q
# shellcheck disable=SC2086 # a list of words
apt-get install -y -q --no-install-recommends $missing
