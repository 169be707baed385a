import microdemo_core.csv as door


def test_the_door_names_what_it_exports() -> None:
    """Everything in ``__all__`` is there, and nothing public besides the package's modules is missing from it."""
    modules = {
        "columns",
        "formulas",
        "limits",
        "lines",
        "reading",
        "records",
        "report",
        "streaming",
        "upload",
        "writing",
    }
    public = {name for name in vars(door) if name[0].isalpha()} - modules
    assert public == set(door.__all__)
