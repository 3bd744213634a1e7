"""The agents that use a language model: prompts, proposed plans, and reports with checked citations.

Rule: nothing here imports `actors.agents.extractive`. What these agents need of the agents without
a model comes through their constructors, as functions.
"""
