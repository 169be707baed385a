import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from microdemo_core.csv import neutralise, restore

# Dense in what the rules look at; plain st.text() would rarely begin with any of it.
tricky = st.text(alphabet="'=+-@\t\r\n \uff1d9.e\ufeffa\x00") | st.text()


@given(tricky)
@example("''=1")
@example("'-5")
@settings(deadline=None)
def test_every_text_comes_back_as_it_was(text: str) -> None:
    """Restoring what was neutralised gives the same text, whatever it begins with."""
    assert restore(neutralise(text)) == text


@given(tricky)
@settings(deadline=None)
def test_no_neutralised_text_begins_like_a_formula(text: str) -> None:
    """Behind blanks and control characters, a neutralised cell begins with no sign unless it is a number."""
    begin = neutralise(text).lstrip("".join(map(chr, range(33))) + "\ufeff")
    if begin[:1] in {"=", "+", "-", "@", "\uff1d"} and begin:
        assert float(neutralise(text)) <= 0


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1+1", "@SUM(A1)", "\t=1", "\rx", "\nx", "  =1", "\x00=1", "\uff1d1", "-", "-inf"]
)
def test_formulas_get_an_apostrophe(text: str) -> None:
    """Every beginning on OWASP's list is guarded, also behind blanks."""
    assert neutralise(text) == "'" + text


@pytest.mark.parametrize("text", ["", "-5", "-0.50", "-1e-05", "a=b", "'t Hart", "'", "'quoted'", "1-2", "a@b.c", " x"])
def test_harmless_texts_stay_as_they_are(text: str) -> None:
    """Numbers, names with an apostrophe and signs inside a text are not touched, in either direction."""
    assert neutralise(text) == text
    assert restore(text) == text


def test_a_number_guarded_by_another_program_is_restored() -> None:
    """An export that also guards negative numbers can be imported."""
    assert restore("'-5") == "-5"
