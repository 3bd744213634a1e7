"""How the settings name a language model: "openai:NAME", "anthropic:NAME", "local", "extractive".

Rule: a name is taken apart here and nowhere else. "extractive" names no model: the agents work
without one.
"""

from __future__ import annotations

from dataclasses import dataclass

OPENAI, ANTHROPIC, LOCAL, EXTRACTIVE = "openai", "anthropic", "local", "extractive"
_REMOTE = (OPENAI, ANTHROPIC)
_ALONE = (LOCAL, EXTRACTIVE)
FORMS = "openai:NAME, anthropic:NAME, local or extractive"


@dataclass(frozen=True, slots=True)
class ModelName:
    """Who runs a model, and what they call it; empty for those that need no name."""

    provider: str
    model: str = ""

    def __str__(self) -> str:
        return f"{self.provider}:{self.model}" if self.model else self.provider


def parse_model_name(text: str) -> ModelName:
    """Take a name apart; raises `ValueError` that says what there is."""
    provider, _, model = (part.strip() for part in text.partition(":"))
    if provider in _ALONE and not model:
        return ModelName(provider)
    if provider in _REMOTE and model:
        return ModelName(provider, model)
    if provider in _REMOTE:
        raise ValueError(f"{text!r} lacks the model's name: {provider}:NAME")
    raise ValueError(f"{text!r} is no model: say {FORMS}")
