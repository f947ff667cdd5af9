#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Recipe of the guest's image: `image.sh OUT` makes OUT/{root.img,vmlinuz,initrd.cpio}. Called by `guest build`, which
# owns the cache, the locking and the namespaces this runs in, and hashes what shapes the image (this file, packages,
# init). Packages come from where this host's apt gets them. Needs root, so that the root file system's files get their
# owners. Exit status: 0 made, 77 this host cannot (no packages to be had), else a defect of the recipe.
set -euo pipefail

readonly SUITE=bookworm
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
out=$1

cannot() {
    echo "guest build: $*" >&2
    exit 77
}

# --- root file system -----------------------------------------------------------------------------------------------
work=$(mktemp -d "$out/work.XXXXXX")
root=$work/root
# A host on another release names other suites: mmdebstrap's own default serves then.
mapfile -t sources < <(grep -ls "$SUITE" /etc/apt/sources.list /etc/apt/sources.list.d/*.{list,sources} || true)
packages=$(sed -e 's/#.*//' -e '/^ *$/d' "$here/packages" | paste -sd,)
# shellcheck disable=SC2016 # the hook is expanded by mmdebstrap's shell
fetch_kernel='mkdir -m 1777 "$1/kernel" && cd "$1/kernel" && export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG" &&
    apt-get -qq download "$(apt-cache depends linux-image-cloud-amd64 |
        sed -n "s/^ *Depends: \(linux-image-[^ ]*\)$/\1/p" | head -n1)"'
mmdebstrap --quiet --mode=root --variant=essential --include="$packages" \
    --aptopt='APT::Install-Recommends "false"' --aptopt='Acquire::Check-Valid-Until "false"' \
    --dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' \
    --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/info/*' \
    --customize-hook="$fetch_kernel" \
    "$SUITE" "$root" "${sources[@]}" >&2 || cannot "cannot get Debian packages ($SUITE)"

# --- kernel and initramfs -------------------------------------------------------------------------------------------
dpkg-deb -x "$root"/kernel/linux-image-*.deb "$work/kernel"
rm -rf "$root/kernel"
release=$(basename "$work"/kernel/lib/modules/*)
cp "$work/kernel/boot/vmlinuz-$release" "$out/vmlinuz"
cp -r "$work/kernel/lib/modules" "$root/lib/"
chroot "$root" depmod "$release"

initrd=$work/initrd
mkdir -p "$initrd"/{bin,dev,modules,newroot}
install -m 755 "$here/init" "$initrd/init"
cp "$(command -v busybox)" "$initrd/bin/busybox"
for module in virtio_ring virtio virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk virtio_console; do
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
rm -rf "$root"/var/cache/apt "$root"/var/lib/apt/lists/* "${root:?}"/boot/*

# 1 GiB to spare for what tests write; the file is sparse. No journal: a cut-off guest is thrown away, never repaired.
size=$(($(du -sm "$root" | cut -f1) + 1024))
mke2fs -q -t ext4 -O '^has_journal' -E lazy_itable_init=1 -m 0 -L weir-guest -d "$root" "$out/root.img" "${size}M"
rm -rf "$work"
