#!/usr/bin/env bash
# Takes a package of this system's own archive apart into a folder. Neither root nor dpkg's database is involved, so that
# no daemon is started and nothing else changes; apt verifies the archive's signature as always.
#
#   unpack_package.sh PACKAGE FOLDER      Debian and Ubuntu; elsewhere, and where it fails, it says so and exits with 1
set -euo pipefail

package=$1 folder=$2
command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null || {
  echo 'this system has no apt-get and dpkg-deb' >&2
  exit 1
}
mkdir -p "$(dirname "$folder")"
# Beside the folder, so that it gets its name in one step; hidden, and removed however this ends.
work=$(mktemp -d "$(dirname "$folder")/.unpacking.XXXXXX")
trap 'rm -rf "$work"' EXIT
trap 'exit 143' TERM # once the command that runs has ended, so that it finds its folder until then
cd "$work"
mkdir -p state/lists/partial cache/archives/partial
options=(-qq -o "APT::Sandbox::User=$(id -un)" -o Acquire::Retries=2 -o Acquire::http::Timeout=30)
# Package lists of our own, where the system's are missing or too old to find the package.
private=(-o "Dir::State=$work/state" -o "Dir::State::Lists=$work/state/lists" -o "Dir::Cache=$work/cache")
apt-get "${options[@]}" download "$package" >log 2>&1 ||
  { apt-get "${options[@]}" "${private[@]}" update && apt-get "${options[@]}" "${private[@]}" download "$package"; } >log 2>&1 ||
  { sed 's/^/apt: /' log >&2; exit 1; }
dpkg-deb -x ./*.deb unpacked
# Another one may have been faster: then its folder stays, since it may be in use already.
mv -nT unpacked "$folder" || [ -d "$folder" ]
