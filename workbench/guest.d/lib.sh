# shellcheck shell=bash
# What the guest's jobs share: emulated CXL memory as a node, and TAP lines.

# cxl_region WINDOW: make a volatile region from the device behind a window (0 or 1), print the dax device it brings.
# Which memN a device gets is decided by probe order, so the device is found by its window.
cxl_region() {
	local mem before
	mem=$(cxl list -M -d "decoder0.$1" | grep -o -m1 'mem[0-9]\+') || return 1
	before=$(ls /sys/bus/dax/devices)
	cxl create-region -t ram -d "decoder0.$1" -m "$mem" >/dev/null || return 1
	comm -13 <(echo "$before") <(ls /sys/bus/dax/devices)
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
