"""`terzetto eval …` as a person types it.

Rule: as in `web.command.arguments`: parse and delegate.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter

from web.command.given import Given
from web.command.output import Exit, say

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
        Queries: BEIR's queries.jsonl, TREC's topics, or lines of an id, a tab and the query.
    judgements
        Judgements (qrels) as TREC or BEIR write them.
    documents
        Collections as BEIR's corpus.jsonl or TREC's <DOC> files; without, your library is measured, and a judged id is a
        document's id, source or title.
    json
        Print one JSON object.
    """
    data_dir = given.load().settings.data_dir
    from web.command.eval.retrieval import evaluate_files

    evaluation = await evaluate_files(data_dir, queries, judgements, documents)
    print(evaluation.as_json() if json else evaluation.as_table())
    if evaluation.left_out:
        say(f"{evaluation.left_out} queries for which nothing is judged relevant were left out.")
    if evaluation.unasked:
        say(f"{evaluation.unasked} of the judged queries are not among the queries.")
    if evaluation.unknown:
        say(f"{evaluation.unknown} of the judged documents are not in the library.")
    if "vectors" not in evaluation.rankers:
        say("Only words were searched. Vectors come with: pip install 'terzetto[vectors]'")
    return Exit.OK


@app.command
async def answers(
    file: Path,
    /,
    *,
    documents: Paths = (),
    show: str | None = None,
    json: Json = False,
    given: Given = GIVEN,
) -> int:
    """Measure plans and reports on tasks of which it is known what a good report says.

    Per task and over all: how it ended; topics named by the plan, and needless questions; points
    made and forbidden claims; statements with a citation, citations that count, statements that
    their sources support; seconds. Whether a source supports a statement is told by the words that
    they share, which misses what a reader would see: look at a task with --show.

    Parameters
    ----------
    file
        Tasks as JSON lines with id, task, points, and forbidden and topics if you like. Each
        of the last three is a list of lists of wordings, phrases or /regular expressions/.
    documents
        Files and folders to read into a library in memory; without, your library is used.
    show
        Run only the task with this id, and show all that was measured of it.
    json
        Print one JSON object.
    """
    settings = given.load().settings
    from rich.console import Console

    from web.command.eval.answers import evaluate_task_file
    from web.command.eval.answers_screen import as_json, print_table, print_task

    evaluation = await evaluate_task_file(settings, file, documents, show)
    if json:
        print(as_json(evaluation, in_full=show is not None))
    elif show is not None:
        print_task(evaluation.tasks[0], Console())
    else:
        print_table(evaluation, Console())
    return Exit.OK
