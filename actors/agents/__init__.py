"""The three agents: retriever, analyzer, writer.

Rule: an agent knows nothing of the other two, nor of who asks it.
"""

from actors.agents.analyzer import AnalyzerAgent
from actors.agents.retriever import RetrieverAgent
from actors.agents.writer import WriterAgent

__all__ = ["AnalyzerAgent", "RetrieverAgent", "WriterAgent"]
