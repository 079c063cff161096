# shellcheck shell=bash
# What the guest's jobs share: results, emulated CXL memory as a node, and TAP lines.

# port NAME: the device of one of the host's virtio ports; its number depends on what other virtio devices there are.
port() {
	local name
	name=$(grep -lx "$1" /sys/class/virtio-ports/*/name) && name=${name%/name} && echo "/dev/${name##*/}"
}

# hand_back FILE...: give files of $RESULTS to the host now; what happens later cannot lose them. Each is given once.
hand_back() {
	tar -C "$RESULTS" -cf "$(port results)" "$@" && (cd "$RESULTS" && rm -r -- "$@")
}

# wait_for COMMAND...: until it succeeds, for 60 s at most. The drivers of CXL and dax are registered from a work queue and
# probe asynchronously, and a device that is there now may be without driver: the result is all there is to wait for.
wait_for() {
	local tries
	for ((tries = 0; tries < 600; tries++)); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "waited 60 s in vain for: $*" >&2
	return 1
}

# cxl_device WINDOW: the memdev behind a window (0 or 1). Which memN a device gets is decided by probe order.
cxl_device() {
	cxl list -M -d "decoder0.$1" | grep -o -m1 'mem[0-9]\+'
}

# dax_device REGION: the dax device of a CXL region, when its driver, kmem or dax_private, is through with it. The link to
# the driver is there earlier.
dax_device() {
	local state
	state=$(compgen -G "/sys/bus/cxl/devices/dax_$1/dax*/state" | head -n 1)
	[ -n "$state" ] && basename "$(dirname "$state")"
}

# cxl_region WINDOW: make a volatile region from the device behind a window, print the dax device it brings.
cxl_region() {
	local region
	wait_for cxl_device "$1" || return 1
	region=$(cxl create-region -t ram -d "decoder0.$1" -m "$(cxl_device "$1")" | grep -o 'region[0-9]\+')
	wait_for dax_device "$region" && dax_device "$region"
}

# dax_online DEVICE: give a dax device's memory to the kernel as ordinary (movable) memory, print the node it went to.
dax_online() {
	daxctl reconfigure-device --mode=system-ram "$1" >/dev/null || return 1
	cat "/sys/bus/dax/devices/$1/target_node"
}

# dax_offline DEVICE: take that memory back.
dax_offline() {
	daxctl offline-memory "$1" >/dev/null
}

# node_mem_kb NODE: how much memory a node has.
node_mem_kb() {
	awk '/MemTotal/ { print $4 }' "/sys/devices/system/node/node$1/meminfo"
}

tap_count=0
tap_failed=0

tap_start() {
	exec 3>"$RESULTS/$1.ktap"
	echo "TAP version 13" >&3
	printf '1..%d\n' "$2" >&3
}

# tap_check NAME COMMAND...: one case; it passes when the command succeeds.
tap_check() {
	local name=$1 word=ok
	shift
	tap_count=$((tap_count + 1))
	echo "# $*"
	if ! "$@"; then
		word="not ok"
		tap_failed=$((tap_failed + 1))
	fi
	echo "$word $tap_count $name" >&3
	echo "$word $tap_count $name"
}

# in_list FILE NODES: is this what a file of /sys/devices/system/node says, such as has_memory?
in_list() {
	[ "$(cat "/sys/devices/system/node/$1")" = "$2" ]
}

# kernel_said TEXT: is there a line in the kernel log that contains it?
kernel_said() {
	dmesg | grep -qF -- "$1"
}

# dax_attr DEVICE FILE VALUE: does an attribute of a dax device have this value?
dax_attr() {
	[ "$(cat "/sys/bus/dax/devices/$1/$2")" = "$3" ]
}

# dax_driver DEVICE NAME: is this its driver?
dax_driver() {
	[ "$(basename "$(readlink "/sys/bus/dax/devices/$1/driver")")" = "$2" ]
}

# node_pages NODE WORD: a figure of all zones of a node, such as free or managed, in pages.
node_pages() {
	awk -v node="$1," -v word="$2" '$1 == "Node" { mine = $2 == node }
		mine && ($1 == word || $1 == "pages" && $2 == word) { sum += $NF } END { print sum + 0 }' /proc/zoneinfo
}

# node_idle NODE: does it have memory, all of it free?
node_idle() {
	local managed
	managed=$(node_pages "$1" managed)
	[ "$managed" -gt 0 ] && [ "$(node_pages "$1" free)" -eq "$managed" ]
}

# builtin_kmem: tell libkmod, which daxctl asks to load the module kmem, that it is in the kernel.
builtin_kmem() {
	local modules
	modules=/lib/modules/$(uname -r)
	mkdir -p "$modules"
	echo kernel/drivers/dax/kmem.ko >"$modules/modules.builtin"
	: >"$modules/modules.order"
	depmod
}
