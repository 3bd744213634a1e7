"""How good the ranking is, on 50 news articles that people compared with one another.

The articles and the judgements (the mean similarity of each pair, from 0 to 1) are those of M. D.
Lee, B. Pincombe and M. Welsh, "An empirical evaluation of models of text document similarity",
2005. They are read from the test data inside the package gensim (LGPL-2.1), which has them from
their author; the articles are the Australian Broadcasting Corporation's, so no copy is kept here.

Rule: each article is a query for all the others. The floors are just below what was measured:
nDCG@10 of 0.804 for BM25, 0.852 for vectors and 0.851 for both.
"""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import pytest

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


@pytest.fixture
async def evaluation(tmp_path: Path) -> RetrievalEvaluation:
    texts, similar = articles()
    lines = [json.dumps({"_id": str(n), "text": text}) + "\n" for n, text in enumerate(texts)]
    judged = (f"{a}\t{b}\t{similar[a][b]}\n" for a in range(50) for b in range(50))
    (tmp_path / "articles.jsonl").write_text("".join(lines), encoding="utf-8")
    (tmp_path / "judged.tsv").write_text("".join(judged), encoding="utf-8")
    both = tmp_path / "articles.jsonl"
    return await evaluate_files(tmp_path / "none", both, tmp_path / "judged.tsv", [both])


@pytest.mark.extra("vectors")
async def test_the_ranking_of_news_articles_agrees_with_people(
    evaluation: RetrievalEvaluation,
) -> None:
    assert (evaluation.queries, evaluation.judged, evaluation.unknown) == (50, 50, 0)
    assert evaluation.rankers["bm25"].ndcg > 0.80
    assert evaluation.rankers["vectors"].ndcg > 0.84
    assert evaluation.rankers["fused"].ndcg > 0.845
    assert evaluation.rankers["fused"].ndcg > evaluation.rankers["bm25"].ndcg + 0.03
