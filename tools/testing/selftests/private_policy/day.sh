#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# A day with two private nodes. A seed that is given brings the same decisions of
# each process, though not their order.
export PRIVATE_DAY_SECONDS="${PRIVATE_DAY_SECONDS:-180}"
export PRIVATE_DAY_SEED="${PRIVATE_DAY_SEED:-$(od -An -N4 -tu4 /dev/urandom | tr -d ' ')}"
exec ./day
