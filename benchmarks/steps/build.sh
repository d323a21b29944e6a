#!/bin/sh -e
cd "$WORK/source"
"$TOOLS" -c 'from setuptools.build_meta import build_wheel; build_wheel("dist")'
"$TOOLS" -m zipfile -e dist/*.whl site
