# shellcheck shell=sh
# SPDX-License-Identifier: GPL-2.0
# What the shell scripts of the workbench share; the same conventions as lib/console.py. Source it with TOP set.

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

# logged LOG WHY COMMAND...: run a command with its output in a log.
logged() {
	_log=$LOGS/$1 _why=$2
	shift 2
	mkdir -p "$(dirname "$_log")"
	printf '$ %s\n' "$*" >"$_log"
	"$@" >>"$_log" 2>&1 && return 0
	_line=$(grep -m1 -E '^(E:|error:|fatal:)|[ :]error:' "$_log" || tail -n 1 "$_log")
	die "$_why: $_line" "$_log"
}
