"""The queue for a slot: fair between owners, first come first served for each of them.

It is deficit round robin with slots as the measure: tasks have no length that is known before, so an
owner's deficit is how many slots it holds less than the others do.

Rule: a free slot goes to the waiting owner that holds the fewest; among equals, to the one that was
served longest ago. So an owner past its share gets no slot while another one waits, and an owner with
many short tasks gets no more than its turn.
"""

from __future__ import annotations

from collections import Counter, deque

Owner = str | None


class FairQueue:
    """Ids of tasks that wait, and how many slots each owner holds."""

    def __init__(self) -> None:
        self._waiting: dict[Owner, deque[str]] = {}
        self._holding: Counter[Owner] = Counter()
        self._served: dict[Owner, int] = {}
        self._turns = 0

    def __len__(self) -> int:
        return sum(map(len, self._waiting.values()))

    def waiting(self, owner: Owner) -> int:
        """How many tasks of this owner wait."""
        return len(self._waiting.get(owner, ()))

    def waiting_by_owner(self) -> dict[Owner, int]:
        """How many tasks of each owner wait."""
        return {owner: len(tasks) for owner, tasks in self._waiting.items()}

    def unfinished(self, owner: Owner) -> int:
        """How many tasks of this owner wait or have a slot."""
        return self.waiting(owner) + self._holding[owner]

    def ahead(self, owner: Owner) -> int:
        """About how many tasks get a slot before the next one of this owner."""
        own = self.waiting(owner)
        return own + sum(
            min(own, len(tasks)) for other, tasks in self._waiting.items() if other != owner
        )

    def append(self, owner: Owner, task_id: str) -> None:
        """Wait behind the owner's other tasks."""
        self._waiting.setdefault(owner, deque()).append(task_id)

    def remove(self, owner: Owner, task_id: str) -> None:
        """Wait no longer."""
        self._waiting[owner].remove(task_id)
        self._drop_if_empty(owner)

    def take(self) -> str:
        """The task whose turn it is; its owner holds one slot more until `release`."""
        owner = min(self._waiting, key=lambda one: (self._holding[one], self._served.get(one, 0)))
        task_id = self._waiting[owner].popleft()
        self._drop_if_empty(owner)
        self._turns += 1
        self._served[owner] = self._turns
        self._holding[owner] += 1
        return task_id

    def release(self, owner: Owner) -> None:
        """A task that `take` returned holds its slot no longer."""
        self._holding[owner] -= 1

    def _drop_if_empty(self, owner: Owner) -> None:
        if not self._waiting[owner]:
            del self._waiting[owner]
