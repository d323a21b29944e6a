"""Every block of this package, so that Prefect knows them all.

Prefect loads this module by its entry point, and `prefect block register -m
prefect_delivery` finds the blocks by it. There is no list to keep: a block is whatever
a module beside this one defines with a slug.
"""

import importlib
import pkgutil

from prefect.blocks.core import Block

import prefect_delivery.blocks


def _defined() -> dict[str, type[Block]]:
    found: dict[str, type[Block]] = {}
    for module in pkgutil.iter_modules(prefect_delivery.blocks.__path__):
        name = f"prefect_delivery.blocks.{module.name}"
        if name == __name__:
            continue
        for value in vars(importlib.import_module(name)).values():
            if (
                isinstance(value, type)
                and issubclass(value, Block)
                and value.__module__ == name
                and "_block_type_slug" in vars(value)
            ):
                found[value.__name__] = value
    return found


BLOCKS = _defined()
"""The blocks by the names of their classes."""
