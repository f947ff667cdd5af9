#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Recipe of the guest's image: `image.sh OUT` makes OUT/{root.img,vmlinuz,initrd.cpio}. Called by `guest build`, which
# owns the cache and the locking; every file that shapes the image is hashed there (this one, packages, init).
# Packages come from where this host's apt gets them. Needs root: the root file system's owners have to be right.
# Exit status: 0 made, 77 this host cannot (no root, no packages to be had), else a defect of the recipe.
set -euo pipefail

readonly SUITE=bookworm
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$1

cannot() {
    echo "guest build: $*" >&2
    exit 77
}

# --- host tools, installed only where missing -----------------------------------------------------------------------
declare -A needs=([qemu-system-x86_64]=qemu-system-x86 [mmdebstrap]=mmdebstrap [mke2fs]=e2fsprogs
    [busybox]=busybox-static [cpio]=cpio [depmod]=kmod [flock]=util-linux)
missing=()
for tool in "${!needs[@]}"; do
    command -v "$tool" >/dev/null || missing+=("${needs[$tool]}")
done
[[ $(uname -m) = x86_64 ]] || cannot "the guest is x86-64 only"
[[ $EUID = 0 ]] || cannot "building the image needs root"
if ((${#missing[@]})); then
    echo "guest build: installing ${missing[*]}" >&2
    { apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq -y --no-install-recommends install \
        "${missing[@]}"; } >&2 || cannot "cannot install ${missing[*]}"
fi
# A busybox linked dynamically would be useless in an initramfs.
if ldd "$(command -v busybox)" >/dev/null 2>&1; then
    apt-get -qq -y install busybox-static >&2 || cannot "cannot install busybox-static"
fi

# --- root file system -----------------------------------------------------------------------------------------------
work=$(mktemp -d "$out/work.XXXXXX")
root=$work/root
# A host on another release names other suites: mmdebstrap's own default serves then.
mapfile -t sources < <(grep -ls "$SUITE" /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} || true)
packages=$(sed -e 's/#.*//' -e '/^ *$/d' "$here/packages" | paste -sd,)
# shellcheck disable=SC2016 # the hook is expanded by mmdebstrap's shell
fetch_kernel='cd "$1/kernel" && export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" &&
    apt-get -qq download "$(apt-cache depends linux-image-cloud-amd64 |
        sed -n "s/^ *Depends: \(linux-image-[^ ]*\)$/\1/p" | head -n1)"'
mmdebstrap --quiet --mode=root --variant=essential --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --setup-hook='mkdir -m 1777 "$1/kernel"' --customize-hook="$fetch_kernel" \
    "$SUITE" "$root" "${sources[@]}" >&2 || cannot "cannot get Debian packages ($SUITE)"

# --- kernel and initramfs -------------------------------------------------------------------------------------------
dpkg-deb -x "$root"/kernel/linux-image-*.deb "$work/kernel"
rm -rf "$root/kernel"
release=$(basename "$work"/kernel/lib/modules/*)
cp "$work/kernel/boot/vmlinuz-$release" "$out/vmlinuz"
cp -r "$work/kernel/lib/modules" "$root/lib/"
depmod -b "$root" "$release"

initrd=$work/initrd
mkdir -p "$initrd"/{bin,dev,modules,newroot}
install -m 755 "$here/init" "$initrd/init"
cp "$(command -v busybox)" "$initrd/bin/busybox"
for module in virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console; do
    find "$root/lib/modules/$release/kernel" -name "$module.ko" -exec cp {} "$initrd/modules/" \;
done
(cd "$initrd" && find . | cpio --quiet -o -H newc >"$out/initrd.cpio")

# --- a short boot ---------------------------------------------------------------------------------------------------
# Nothing here bears on cgroups, PSI, D-Bus, the journal or logind, which the tests are about.
mask=(getty.target getty@.service serial-getty@.service systemd-timesyncd.service systemd-networkd.service
    systemd-hwdb-update.service systemd-journal-catalog-update.service systemd-journal-flush.service
    systemd-update-utmp.service systemd-update-utmp-runlevel.service systemd-update-done.service
    systemd-random-seed.service systemd-boot-system-token.service systemd-firstboot.service ldconfig.service
    systemd-machine-id-commit.service systemd-pstore.service systemd-sysusers.service systemd-sysctl.service
    systemd-modules-load.service systemd-remount-fs.service systemd-binfmt.service
    kmod-static-nodes.service modprobe@.service proc-sys-fs-binfmt_misc.automount dev-hugepages.mount
    dev-mqueue.mount sys-kernel-debug.mount sys-kernel-tracing.mount sys-kernel-config.mount
    sys-fs-fuse-connections.mount systemd-ask-password-console.path systemd-ask-password-wall.path
    systemd-tmpfiles-clean.timer apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer fstrim.timer
    e2scrub_all.timer e2scrub_reap.service stress-ng.service remote-fs.target)
for unit in "${mask[@]}"; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done
ln -sf /lib/systemd/system/multi-user.target "$root/etc/systemd/system/default.target"
echo weir-guest >"$root/etc/hostname"
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
printf '127.0.0.1 localhost weir-guest\n::1 localhost\n' >"$root/etc/hosts"
: >"$root/etc/fstab"
# For tests of an unprivileged caller and of the user manager's delegated subtree.
chroot "$root" useradd --uid 1000 --create-home --shell /bin/bash tester
mkdir -p "$root/payload" "$root/results"
rm -rf "$root"/var/cache/apt "$root"/var/lib/apt/lists/* "$root"/boot/*

# 1 GiB to spare for what tests write; the file is sparse. No journal: a cut-off guest is thrown away, never repaired.
size=$(($(du -sm "$root" | cut -f1) + 1024))
mke2fs -q -t ext4 -O '^has_journal' -E lazy_itable_init=1 -m 0 -L weir-guest -d "$root" "$out/root.img" "${size}M"
rm -rf "$work"
