"""Which URLs the text of a task names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from actors.tasks.named_urls import MOST, urls_in


@pytest.mark.parametrize(
    ("text", "urls"),
    [
        ("Nothing here: example.com, ftp://x/y, http:// and https://.", ()),
        ("Summarise https://a.example/x", ("https://a.example/x",)),
        (
            "See http://a.example/x, HTTPS://b.example/y.",
            ("http://a.example/x", "HTTPS://b.example/y"),
        ),
        ("(as https://a.example/x says)", ("https://a.example/x",)),
        ("[this](https://a.example/x)!", ("https://a.example/x",)),
        (
            '<https://a.example/x> or "https://b.example"',
            ("https://a.example/x", "https://b.example"),
        ),
        ("`https://a.example/x`…", ("https://a.example/x",)),
        (
            "https://a.example/Frog_(animal)?x=1&y=[2]",
            ("https://a.example/Frog_(animal)?x=1&y=[2]",),
        ),
        ("(https://a.example/Frog_(animal))", ("https://a.example/Frog_(animal)",)),
        ("https://a.example/x https://a.example/x", ("https://a.example/x",)),
        ("*https://a.example/x*'s", ("https://a.example/x*'s",)),
        ("«https://a.example/x»", ("https://a.example/x",)),
    ],
)
def test_a_url_ends_where_the_sentence_goes_on(text: str, urls: tuple[str, ...]) -> None:
    assert urls_in(text) == urls


def test_the_first_five_count() -> None:
    named = [f"https://a.example/{number}" for number in range(9)]

    assert urls_in(" ".join(named)) == tuple(named[:MOST])


PIECES = st.sampled_from(
    ["https://", "HTTP://", "a.example", "/x", " ", ")", "(", ".", "'", "\n", "ü"]
)


@given(text=st.lists(PIECES, max_size=30).map("".join) | st.text(max_size=200))
def test_any_text_names_a_few_urls_that_stand_in_it(text: str) -> None:
    found = urls_in(text)

    assert len(set(found)) == len(found) <= MOST
    for url in found:
        assert url in text and url.lower().startswith(("http://", "https://"))
        assert not url[-1].isspace() and not url.endswith("://")
        assert urls_in(url) == (url,)
