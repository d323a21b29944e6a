#!/bin/sh -e
# $1: unit or integration
cd "$WORK/source"
PYTHONPATH=src exec "$TOOLS" -m pytest -q -p no:cacheprovider --junitxml="$WORK/$1.xml" "tests/$1"
