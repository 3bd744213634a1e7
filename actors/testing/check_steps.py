"""The invariants of the steps in a task's log: their order, their attempts, and the text.

Rule: one method for each event, named like it, which raises `AssertionError`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

Data = Mapping[str, Any]

WORKING = frozenset({"running"})
RETRIED = frozenset({"agent_failed", "agent_crashed", "step_timeout", "interrupted"})
BETWEEN = frozenset({"retrying", "interrupted"})


class Steps:
    """What has been read of a task's steps. `plan` holds them in order once there is a plan.

    `exact`: it is known which attempts count, so a step may only give up after all of them.
    """

    def __init__(self, budget: int | None, *, exact: bool) -> None:
        self._exact = exact
        self.plan: list[Data] = []
        self.text = ""
        self.kept_text: str | None = None
        self.degraded = False
        self.failed: dict[str, Data] = {}
        self._budget = budget
        self._status: dict[str, str] = {}
        self._attempts: Counter[str] = Counter()
        self._tries: Counter[str] = Counter()
        self._crashed: Counter[str] = Counter()

    @property
    def completed(self) -> list[str]:
        """The ids of the completed steps, in the order of the plan."""
        ids = [step["step_id"] for step in self.plan]
        return [key for key in ids if self._status.get(key) == "completed"]

    def interrupt(self, *, forgive: bool) -> None:
        """The work stopped; `forgive`: not in a crash, so that no attempt is used up.

        A crash uses up an attempt of one step at most, of any task; the log does not say of which.
        """
        for key, status in self._status.items():
            if status in WORKING:
                self._status[key] = "interrupted"
                self._tries[key] -= 1
                self._crashed[key] += not forgive

    def new_run(self) -> None:
        """A retry by a person: every step that is not completed begins again."""
        self._tries.clear()
        self._crashed.clear()
        self.failed.clear()
        self._status = {key: s for key, s in self._status.items() if s == "completed"}

    # --- events -----------------------------------------------------------------------------

    def step_started(self, data: Data) -> None:
        key = data["step_id"]
        self._check_place(data)
        assert self._status.get(key, "") in {"", *BETWEEN}, f"{key} is {self._status[key]}"
        self._attempts[key] += 1
        self._tries[key] += 1
        assert data["attempt"] == self._attempts[key], f"attempt {data['attempt']} out of order"
        if self._budget is not None:
            assert self._tries[key] <= self._budget, f"{key} has had its {self._budget} attempts"
        self._status[key] = "running"
        if data.get("continues"):
            self.text = self.text or self.kept_text or ""
        elif data["step"] == "writing":
            self.kept_text, self.text = self.text or self.kept_text, ""

    def _check_place(self, data: Data) -> None:
        key = data["step_id"]
        if not self.plan:
            first = (data["step"], data["step_number"], data["total_steps"])
            assert first == ("analysis", 1, None), "a step without a plan"
            assert self._attempts.keys() <= {key}, "two analyses"
            return
        place = (data["step_number"], data["total_steps"])
        numbers = {step["step_id"]: n for n, step in enumerate(self.plan, start=1)}
        assert place == (numbers[key], len(self.plan)), f"{key} is not step {place}"
        planned = self.plan[numbers[key] - 1]
        for name in ("step", "agent_type", "description"):
            assert key == self.plan[0]["step_id"] or data[name] == planned[name], f"another {name}"
        needs = planned["depends_on"]
        assert set(needs) <= set(self.completed), f"{key} before what it depends on"

    def plan_created(self, data: Data) -> None:
        assert not self.plan, "a second plan"
        (analysis,) = self._status
        assert self._status[analysis] == "running", "a plan that nobody works on"
        self.plan = list(data["steps"])
        ids = [step["step_id"] for step in self.plan]
        kinds = [step["step"] for step in self.plan]
        assert ids[0] == analysis and kinds[0] == "analysis", "a plan without its analysis"
        assert len(set(ids)) == len(ids), "a step that stands twice"
        assert kinds.index("writing") == len(kinds) - 1, "the writing is not one and last"
        assert all(set(step["depends_on"]) <= set(ids) for step in self.plan), "unknown needs"

    def partial_output(self, data: Data) -> None:
        assert data["step"] == "writing", "only the writing has parts"
        assert data["content"], "an empty part"
        self._check_attempt(data, WORKING)
        self.text += data["content"]

    def step_retrying(self, data: Data) -> None:
        self._check_attempt(data, WORKING)
        assert data["next_attempt"] == data["attempt"] + 1, "next_attempt is not the next"
        assert data["delay_s"] >= 0 and data["error"]["code"], "a retry without a reason"
        self._status[data["step_id"]] = "retrying"

    def step_completed(self, data: Data) -> None:
        key = data["step_id"]
        gave_up = data["degraded"]
        self._check_attempt(data, WORKING | BETWEEN if gave_up else WORKING)
        assert (data["error"] is not None) == gave_up, "degraded without an error, or not with one"
        assert key in {step["step_id"] for step in self.plan}, "a step that is not in the plan"
        if gave_up:
            self._check_spent(key, data["error"])
        self.degraded = self.degraded or gave_up
        self._status[key] = "completed"

    def step_failed(self, data: Data) -> None:
        key = data["step_id"]
        assert self._status.get(key) in WORKING | BETWEEN, f"{key} did not work"
        assert data["attempts"] == self._attempts[key], "a wrong number of attempts"
        self._check_spent(key, data["error"])
        self._status[key] = "failed"
        self.failed[key] = data["error"]

    def _check_spent(self, key: str, error: Data) -> None:
        assert error["code"], "a step that gave up without a reason"
        if self._exact and self._budget is not None and error["code"] in RETRIED:
            least, most = self._tries[key], self._tries[key] + self._crashed[key]
            used = f"{least} to {most} of {self._budget}"
            assert least <= self._budget <= most, f"{key} gave up after {used} attempts"

    def _check_attempt(self, data: Data, allowed: frozenset[str]) -> None:
        key = data["step_id"]
        assert self._status.get(key) in allowed, f"{key} is {self._status.get(key)}"
        assert data["attempt"] == self._attempts[key], f"{data['attempt']} is not the attempt"
