#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Plug and unplug many times, to see what adds up.
export PRIVATE_NODE_CYCLES="${PRIVATE_NODE_CYCLES:-200}"
exec ./dax_private -r dax.cycles
