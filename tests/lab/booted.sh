#!/bin/bash
# Become the first process of a machine where systemd runs and morphnet is installed in /opt/morphnet, and nothing else is.
#   tests/lab/booted.sh ROOT SOURCES PACKAGES PREFIX PYTHON
#   tests/lab/booted.sh ROOT            where a whole Debian is in ROOT, whatever is installed there
# To be executed in new namespaces for mounts, processes, names and control groups; they end with it, and all of this too.
#   ROOT      an empty directory: the machine's own root, on a tmpfs; or one with a Debian, which is changed
#   SOURCES   morphnet's
#   PACKAGES  where those are that it needs
#   PREFIX    of the interpreter, which moves to /opt/python unless it is in /usr
#   PYTHON    its name
set -euo pipefail
root=$1

begin() { # a root of its own, with the programs of this machine
    mount -t tmpfs -o mode=0755 tmpfs "$root"
    cd "$root"
    for each in /bin /sbin /lib /lib32 /lib64 /libx32 /usr; do
        if [ -L $each ]; then
            cp -P $each .
        elif [ -d $each ]; then
            mkdir ".$each"
            mount -o bind,ro $each ".$each"
        fi
    done
    mkdir dev etc home opt proc root run srv sys tmp var
    chmod 700 root
    chmod 1777 tmp
}

mount --make-rprivate /
if [ $# = 1 ]; then
    mount --bind "$root" "$root"
    cd "$root"
    rm -rf dev && mkdir dev
else
    begin
fi
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys # read-only: so systemd knows that devices are not its business
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=0755 tmpfs run
mount -t tmpfs -o mode=0755 tmpfs dev # of its own: systemd makes sockets and links there
mkdir dev/net dev/pts dev/shm
for each in null zero full random urandom tty; do
    : >"dev/$each"
    mount --bind "/dev/$each" "dev/$each"
done
mknod -m 0666 dev/net/tun c 10 200 # as Debian has it, also where the machine around is a container whose root alone may
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
mount -t tmpfs -o mode=1777 tmpfs dev/shm
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd

furnish() { # a Debian on which nobody did anything yet
    cp /etc/hosts /etc/resolv.conf /etc/services /etc/protocols etc/
    for each in ssl alternatives; do
        [ ! -d /etc/$each ] || cp -a /etc/$each etc/
    done
    printf 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n' >etc/passwd
    printf 'root:x:0:\ntty:x:5:\nadm:x:4:\nsystemd-journal:x:101:\nnogroup:x:65534:\n' >etc/group
    printf 'passwd: files\ngroup: files\nshadow: files\nhosts: files dns\n' >etc/nsswitch.conf
    ln -s ../usr/lib/os-release etc/os-release
    mkdir -p etc/systemd/system var/lib var/log var/tmp
    chmod 1777 var/tmp
    ln -s ../run var/run
}

[ $# = 1 ] || furnish
tr -d - </proc/sys/kernel/random/uuid >etc/machine-id
hostname >etc/hostname
ln -sf /lib/systemd/system/multi-user.target etc/systemd/system/default.target
for each in sysinit.target.wants multi-user.target.wants sockets.target.wants; do # what packages here would have started
    [ ! -d usr/lib/systemd/system/$each ] || mount -t tmpfs tmpfs usr/lib/systemd/system/$each
done
for each in systemd-journald.socket systemd-journald-dev-log.socket; do
    ln -s ../$each usr/lib/systemd/system/sockets.target.wants/
done
for each in getty.target systemd-logind.service systemd-user-sessions.service systemd-udevd.service systemd-networkd.service \
    systemd-resolved.service dbus.socket dbus.service systemd-tmpfiles-clean.timer tmp.mount; do
    ln -sf /dev/null etc/systemd/system/$each
done

put_morphnet() { # SOURCES PACKAGES PREFIX PYTHON
    local sources=$1 packages=$2 prefix=$3 python=$4
    mkdir opt/source opt/packages
    mount -o bind,ro "$sources" opt/source
    mount -o bind,ro "$packages" opt/packages
    case $prefix in
        /usr | /usr/*) ;;
        *)
            mkdir opt/python
            mount -o bind,ro "$prefix" opt/python
            prefix=/opt/python
            echo $prefix/lib >etc/ld.so.conf # where its own library is
            ;;
    esac
    cat /etc/ld.so.conf.d/*.conf >>etc/ld.so.conf 2>/dev/null || true
    ldconfig -r .

    # What `python3 -m venv /opt/morphnet` and `pip install .` make, with everything where it is.
    mkdir -p opt/morphnet/bin opt/morphnet/share/morphnet "opt/morphnet/lib/$python/site-packages"
    printf 'home = %s/bin\ninclude-system-site-packages = false\n' $prefix >opt/morphnet/pyvenv.cfg
    ln -s $prefix/bin/"$python" opt/morphnet/bin/python
    printf '/opt/source\n/opt/packages\n' >"opt/morphnet/lib/$python/site-packages/morphnet.pth"
    cp -r "$sources/tap/systemd" opt/morphnet/share/morphnet/systemd
    printf '#!/opt/morphnet/bin/python\nfrom twisted.scripts.twistd import run\nrun()\n' >opt/morphnet/bin/twistd
    printf '#!/opt/morphnet/bin/python\nimport sys\nfrom morphnet.cli import main\nsys.exit(main())\n' >opt/morphnet/bin/morphnet
    chmod 755 opt/morphnet/bin/twistd opt/morphnet/bin/morphnet
}

[ $# = 1 ] || put_morphnet "${@:2}"
mkdir old
pivot_root . old
cd /
umount -l old
rmdir old
mount --make-rshared / # as the kernel's first process has it: credentials get to services by that
exec env -i container=lab PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --log-target=journal --show-status=no \
    </dev/null >/dev/null 2>&1
