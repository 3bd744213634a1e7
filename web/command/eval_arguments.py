"""`terzetto eval …` as a person types it.

Rule: as in `web.command.arguments`: parse and delegate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from web.command.exits import Exit, say
from web.command.given import Given

app = App(name="eval", help="Measure how good Terzetto is at what it does.")

Json = Annotated[bool, Parameter(negative="")]
Paths = Annotated[tuple[Path, ...], Parameter(negative="", consume_multiple=True)]
GIVEN = Given()


@app.command
async def retrieval(
    *,
    queries: Path,
    judgements: Path,
    documents: Paths = (),
    json: Json = False,
    given: Given = GIVEN,
) -> int:
    """Measure search against relevance judgements: nDCG@10, recall@50 and MRR for each ranker.

    Parameters
    ----------
    queries
        Queries: BEIR's queries.jsonl, or lines of an id, a tab and the query.
    judgements
        Judgements (qrels) as TREC or BEIR write them.
    documents
        Collections as BEIR's corpus.jsonl; without, your library is measured, and a judged id is a
        document's id, source or title.
    json
        Print one JSON object.
    """
    data_dir = given.load().settings.data_dir
    from web.command.eval_retrieval import evaluate_files

    evaluation = await evaluate_files(data_dir, queries, judgements, documents)
    print(evaluation.as_json() if json else evaluation.as_table())
    if evaluation.unknown:
        say(f"{evaluation.unknown} of the judged documents are not in the library.")
    if "vectors" not in evaluation.rankers:
        say("Only words were searched. Vectors come with: pip install 'terzetto[vectors]'")
    return Exit.OK
