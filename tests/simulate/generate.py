"""From a seed to a program.

Rule: faults of agents belong to a task, so that leaving out an operation changes no other's.
"""

from __future__ import annotations

from random import Random
from typing import Any

from .program import Op, Program

STEPS = ("analysis", "retrieval", "synthesis", "writing")
ODD_ACTS = ("ok", "fail", "leave", "group", "hang", ["slow", 0.1])
ACTS = ("ok", "fail", "fail", "fail", "crash", "hang", "slow", "slow", "stubborn", "invalid")

CLIENT_VERBS = {
    "start": 6,
    "execute": 6,
    "read": 8,
    "drop": 4,
    "cancel": 6,
    "retry": 6,
    "status": 4,
    "delete": 2,
    "again": 2,
    "list": 1,
    "stale": 1,
}
TROUBLE_VERBS = {"kill": 4, "stop": 2, "disk": 6, "bomb": 1}


def generate(seed: int) -> Program:
    """The program of a seed."""
    rng = Random(seed)
    ops = []
    labels = [f"t{n}" for n in range(1, rng.randint(1, 5) + 1)]
    span = rng.choice((0.2, 1.0, 4.0, 12.0))
    for label in labels:
        at = _at(rng, span / 3)
        ops.append(Op(at, rng.randrange(6), "create", label, _new(rng)))
        if rng.random() < 0.85:
            verb = rng.choice(("start", "execute"))
            args = {} if verb == "start" else _how_to_read(rng, after=False)
            ops.append(Op(_at(rng, span / 3, at), rng.randrange(12), verb, label, args))
    for _ in range(rng.randint(2, 14)):
        ops.append(_client_op(rng, labels, span))
    if rng.random() < 0.75:
        for _ in range(rng.randint(1, 4)):
            ops.append(_trouble(rng, span))
    _more_trouble(Random(f"{seed} more"), ops, labels, span)
    ops.sort(key=lambda op: op.at)
    return Program(seed, seed % 2 == 1, _settings(rng), tuple(ops))


def _at(rng: Random, span: float, after: float = 0.0) -> float:
    # Many operations meet in the same instant, because that is where races are.
    steps = 8 if rng.random() < 0.6 else 1_000
    return round(after + span * rng.randrange(steps) / steps, 4)


def _pick(rng: Random, weights: dict[str, int]) -> str:
    return rng.choices(list(weights), list(weights.values()))[0]


def _settings(rng: Random) -> dict[str, Any]:
    return {
        "max_running_tasks": rng.choice((1, 2, 3, 8)),
        "max_queued_tasks": rng.choice((0, 1, 2, 8)),
        "max_pending_tasks": rng.choice((1, 2, 8)),
        "step_timeout_s": 5.0,
        "analyzer_mailbox": rng.choice((1, 8)),
        "analyzer_concurrency": rng.choice((1, 2)),
        "retriever_mailbox": rng.choice((1, 8)),
        "retriever_concurrency": rng.choice((1, 3)),
        "writer_mailbox": rng.choice((1, 8)),
        "writer_concurrency": rng.choice((1, 3)),
        "tail_events": rng.choice((1, 4, 256)),
        "ahead_events": rng.choice((1, 2, 8, 64)),
    }


def _new(rng: Random) -> dict[str, Any]:
    """A task: whether it has a key, its size, and what its agents do attempt by attempt."""
    acts: dict[str, list[Any]] = {}
    for step in STEPS:
        if rng.random() < 0.35:
            many = rng.choice((1, 1, 2, 5, 6))
            acts[step] = [_act(rng) for _ in range(many)]
    new: dict[str, Any] = {
        "questions": rng.choice((1, 1, 2, 3)),
        "parts": rng.choice((0, 1, 3, 12)),
        "pause_s": rng.choice((0.0, 0.0, 0.05, 0.4)),
        "acts": acts,
    }
    if rng.random() < 0.4:
        new["key"] = True
    if rng.random() < 0.15:
        new["deadline_s"] = rng.choice((1.0, 3.0, 10.0))
    return new


def _act(rng: Random) -> Any:
    act = rng.choice(ACTS)
    if act in ("slow", "stubborn"):
        return [act, rng.choice((0.01, 0.1, 1.0, 3.0))]
    return act


def _how_to_read(rng: Random, *, after: bool = True) -> dict[str, Any]:
    how: dict[str, Any] = {}
    if rng.random() < 0.3:
        how["pause_s"] = rng.choice((0.0, 0.05, 0.7))
    if rng.random() < 0.3:
        how["leave_after"] = rng.randrange(1, 8)
    if after and rng.random() < 0.4:
        how["after"] = rng.random()
    return how


def _more_trouble(rng: Random, ops: list[Op], labels: list[str], span: float) -> None:
    """A plugin in some plans, a lock that another program holds, a full quota, damaged records.

    From a source of chance of its own, so that the other operations stay what they were.
    """
    for op in ops:
        if op.verb == "create" and rng.random() < 0.4:
            op.args["odd"] = [rng.choice(ODD_ACTS) for _ in range(rng.choice((0, 1, 3, 6)))]
        for step in op.args.get("acts", {}).values():
            if rng.random() < 0.2:
                step[rng.randrange(len(step))] = rng.choice(("leave", "group"))
    if rng.random() < 0.2:
        fault = rng.choice((["busy", 2.0], ["busy", 31.0], ["refuse"]))
        many = 8 if fault == ["refuse"] else 1
        ops.append(Op(_at(rng, span), rng.randrange(40), "disk", "", {"faults": [fault] * many}))
    if rng.random() < 0.1:
        ops.append(Op(_at(rng, span), rng.randrange(40), "damage", rng.choice(labels)))


def _client_op(rng: Random, labels: list[str], span: float) -> Op:
    verb = _pick(rng, CLIENT_VERBS)
    args: dict[str, Any] = {}
    if verb in ("execute", "read"):
        args = _how_to_read(rng)
    elif verb == "drop":
        args = {"back_s": rng.choice((0.0, 0.1, 2.0))}
    elif verb == "cancel":
        args = {"reason": rng.choice((None, "enough"))}
    if verb in ("start", "cancel", "retry", "delete", "again") and rng.random() < 0.15:
        args["hangs_up"] = rng.randrange(12)
    return Op(_at(rng, span), rng.randrange(30), verb, rng.choice(labels), args)


def _trouble(rng: Random, span: float) -> Op:
    verb = _pick(rng, TROUBLE_VERBS)
    args: dict[str, Any] = {}
    match verb:
        case "kill":
            args = {"down_s": rng.choice((0.0, 0.5, 3.0))}
        case "stop":
            args = {"grace_s": rng.choice((0.0, 0.3, 5.0)), "down_s": rng.choice((0.0, 3.0))}
        case "disk":
            faults = (["refuse"], ["delay", 0.02], ["delay", 1.5], ["die before"], ["die after"])
            fault = rng.choice(faults)
            skip = rng.randrange(4)
            many = rng.choice((1, 3)) if fault[0] in ("refuse", "delay") else 1
            args = {"faults": [None] * skip + [fault] * many}
        case "bomb":
            args = {"actor": rng.choice(("supervisor", "supervisor", "journal"))}
    return Op(_at(rng, span), rng.randrange(40), verb, "", args)
