"""One door per package: what a package offers stands in its ``__all__``, and others come in through it."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import microdemo_core

ROOT = Path(__file__).parents[3]
MODULES = [
    module.name
    for module in pkgutil.walk_packages(microdemo_core.__path__, "microdemo_core.")
    if not module.name.startswith("microdemo_core.db.alembic")
]
DOORS = {module.name for module in pkgutil.iter_modules(microdemo_core.__path__, "microdemo_core.")}
# The test kit's modules differ much in what they pull in, so each is a door of its own.
DOORS |= {module for module in MODULES if module.startswith("microdemo_core.testing.")}


@pytest.mark.parametrize("name", MODULES)
def test_all_names_what_is_there(name: str) -> None:
    """Everything in ``__all__`` exists, and is there once."""
    module = importlib.import_module(name)
    offered = list(getattr(module, "__all__", ()))
    assert len(offered) == len(set(offered))
    assert [item for item in offered if not hasattr(module, item)] == []


def _imports(path: Path) -> set[str]:
    return {
        node.module
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("microdemo_core.")
    }


def test_users_of_the_kernel_come_through_its_doors() -> None:
    """Apps and what deploys them import ``microdemo_core.auth``, never a module inside it."""
    found = {
        f"{path.relative_to(ROOT)}: {module}"
        for folder in ("apps", "deploy", "examples")
        for path in (ROOT / folder).rglob("*.py")
        for module in _imports(path) - DOORS
    }
    assert found == set()
