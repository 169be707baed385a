"""The README says what is so."""

import re
from pathlib import Path

import msgspec
import pytest

from microdemo_inventory.settings import InventorySettings
from microdemo_orders.settings import OrdersSettings
from microdemo_users.settings import UsersSettings

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", ["notes.py", "conftest.py", "test_notes.py"])
def test_the_readme_shows_the_example_that_is_tested(name: str) -> None:
    """The service in the README is the file in ``examples/notes``, to the letter."""
    assert _listing(name) == (ROOT / "examples" / "notes" / name).read_text()


def test_the_example_is_short() -> None:
    """A service on the kernel is under 60 lines of code."""
    lines = (ROOT / "examples" / "notes" / "notes.py").read_text().splitlines()
    assert len([line for line in lines if line.strip()]) < 60


def _listing(name: str) -> str:
    found = re.search(rf"<!-- {re.escape(name)} -->\n```python\n(.*?)```", README, re.DOTALL)
    assert found
    return found[1]


def test_the_table_lists_every_setting() -> None:
    """Each service's variables stand in the configuration table, and the table names no others."""
    section = README[README.index("## Configuration") : README.index("All wrong or missing variables")]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    listed = {name for row in rows for name in re.findall(r"`(\w+)`", row)}
    fields = {
        field.name.upper()
        for settings in (UsersSettings, OrdersSettings, InventorySettings)
        for field in msgspec.structs.fields(settings)
    }
    assert listed == fields


def test_the_table_lists_every_target() -> None:
    """Each make target stands in the table, and the table names no others."""
    targets = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert targets
    assert set(re.findall(r"`make (\w+)`", README)) == set(targets[1].split()) - {"help"}


@pytest.mark.parametrize("link", sorted(set(re.findall(r"\]\((?!http|#)([^)]+)\)", README))))
def test_links_lead_somewhere(link: str) -> None:
    """No link to a file that is not there."""
    assert (ROOT / link.partition("#")[0]).exists()
