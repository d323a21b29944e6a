#!/bin/sh -e
# $WORK: workspace, $REPOSITORY and $COMMIT: what to fetch
rm -rf "$WORK"
mkdir -p "$WORK"
git clone -q --no-checkout "$REPOSITORY" "$WORK/source"
git -C "$WORK/source" -c advice.detachedHead=false checkout -q "$COMMIT"
