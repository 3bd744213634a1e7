"""The simulation: random programs against the whole system, in virtual time.

    python -m tests.simulate --seeds 10000        # seeds 0 to 9,999
    python -m tests.simulate --seed 77            # one of them again
    python -m tests.simulate --program bad.json   # a program that was printed

A seed makes a program: what clients request and when, how agents, actors and the log fail, and when
the process is killed. The program runs on one disk, in as many processes as it takes. At the end
every answer that a client ever got must agree with the logs.

Rule: a run is a function of its program alone.
"""

GATE_SEEDS = 160
"""Seeds that run in the gate: as many as find each bug of `tests/plant_bugs.py` that is for them."""
