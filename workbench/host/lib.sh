# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What the shell scripts of the workbench share; the same conventions as lib/console.py. Source it with TOP set.

# The output of many tools is read here: their messages are English, whatever the user speaks.
LC_ALL=C.UTF-8
export LC_ALL
unset LANGUAGE

BUILD=${WB_BUILD:-$TOP/build}
# shellcheck disable=SC2034  # for the scripts that source this
LINUX=$BUILD/linux
LOGS=$BUILD/logs
WB_START=${WB_START:-$(date +%s)}
WB_START=${WB_START%.*}
export WB_START

elapsed() {
	_s=$(($(date +%s) - WB_START))
	printf '%d:%02d' $((_s / 60)) $((_s % 60))
}

say() {
	printf '[%6s] %s\n' "$(elapsed)" "$*"
}

# die TEXT [LOG]: stop with the line that matters and the path of the full log.
die() {
	printf '[%6s] error: %s\n' "$(elapsed)" "$1" >&2
	[ -z "${2:-}" ] || printf '         full log: %s\n' "$2" >&2
	exit 1
}

# Where a signal finds us, the outputs may be those of a tool.
exec 8>&2

# A line for ^C, in place of what the interrupted tools say. make, too, adds nothing when it is interrupted itself.
interrupted() {
	printf '[%6s] interrupted\n' "$(elapsed)" >&8
	if [ "$(cat "/proc/$PPID/comm" 2>/dev/null)" = make ]; then
		kill -INT "$PPID"
		exit 0
	fi
	exit 130
}
trap interrupted INT

# The kernel's make, and ours, take no other paths; to find that out at the end of a download would be late.
case $BUILD in
/*) ;;
*) die "WB_BUILD=$BUILD is not an absolute path" ;;
esac
for _path in "$TOP" "$BUILD"; do
	case $_path in
	*[[:space:]:]*) die "'$_path' has a space or a colon, which make cannot handle: use a path without" ;;
	esac
done

# logged LOG WHY COMMAND...: run a command with its output in a log.
logged() {
	_log=$LOGS/$1 _why=$2
	shift 2
	mkdir -p "$(dirname "$_log")"
	printf '$ %s\n' "$*" >"$_log"
	"$@" >>"$_log" 2>&1 && return 0
	_line=$(grep -m1 'No space left on device' "$_log" ||
		grep -m1 -E '^(E:|error:|fatal:)|[ :]error:' "$_log" || tail -n 1 "$_log")
	die "$_why: $_line" "$_log"
}
