"""What keeps demo data from being loaded."""

__all__ = ("DemoError",)


class DemoError(Exception):
    """One sentence for a person."""
