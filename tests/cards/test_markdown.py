import pytest

from churn_drift.cards.markdown import LONGEST, WIDTH, escaped, flowed, history
from tests.cards.reading import faults, tables, tokens


@pytest.mark.parametrize(
    "text",
    [
        "<script>alert(1)</script>",
        "a|b",
        "`code`",
        "*bold* _it_ ~no~",
        "[a](http://b)",
        "# head",
        "a\\|b",
        "&lt;",
        "$x$",
    ],
)
def test_a_text_from_data_is_shown_as_it_is_and_does_nothing(text):
    document = f"| {escaped(text)} | b |\n|---|---|\n| {escaped(text)} | 1 |\n"
    assert faults(document) == []
    assert [len(row) for row in tables(document)[0]] == [2, 2]
    assert tables(document)[0][1][0] == text
    kinds = {part.type for token in tokens(document) for part in token.children or []}
    assert kinds <= {"text", "text_special"}


@pytest.mark.parametrize("text", ["a\nb", "a\r\n\tb", "a\x00\x1b \u202e b", "  a b  "])
def test_what_cannot_be_printed_is_a_space(text):
    assert escaped(text) == "a b"


def test_a_long_text_is_cut_and_an_empty_one_told():
    assert escaped("x" * 500) == "x" * (LONGEST - 1) + "…"
    assert escaped("") == escaped("\n") == "(empty)"


def test_prose_is_filled_and_tables_and_code_stay_as_they_are():
    wide = "| a |\n|---|\n| " + "x " * 100 + "|"
    code = "```sh\ndvc repro   # " + "y" * 130 + "\n```"
    text = flowed(["# Title\n\n" + "word " * 60, wide, code, "- one\n  more\n- two"])
    assert wide in text
    assert code in text
    assert text.endswith("\n\n- one more\n- two\n")
    prose = text.split("\n\n")[1].splitlines()
    assert len(prose) == 3
    assert max(map(len, prose)) <= WIDTH


@pytest.mark.parametrize("sign", ["-", "+", "*", ">", "#", "="])
def test_no_filled_line_begins_with_a_sign_that_means_something(sign):
    for width in range(WIDTH - 8, WIDTH + 8):
        text = flowed([f"{'x' * width} {sign} 2 and so on"])
        assert [token.type for token in tokens(text)] == ["paragraph_open", "inline", "paragraph_close"]


def test_of_a_long_history_the_ends_are_shown_and_the_gap_is_told():
    text = history(("n", "square"), range(200), lambda n: (str(n), str(n * n)), numbers=1, rest="elsewhere")
    (rows,) = tables(text)
    assert [row[0] for row in rows] == ["n", *map(str, range(4)), "… 180 more", *map(str, range(184, 200))]
    assert "The 180 batches between: elsewhere." in text
    assert faults(text) == []


def test_a_history_that_fits_is_shown_whole():
    text = history(("n",), range(20), lambda n: (str(n),), numbers=1, rest="elsewhere")
    assert len(tables(text)[0]) == 21
    assert "between" not in text
