"""Answers with a language model: prompts, proposals, checked citations."""
