"""Tools of other programs, called by the Model Context Protocol (MCP).

Rule: no fault of a tool server keeps Terzetto from starting or running. Only tools that the
settings allow are called, and every result is bounded. The SDK is imported only if the settings
have a tool server, as an import takes a second or two.
"""

from actors.tools.catalog import Tool, ToolResult
from actors.tools.tools import Tools, open_tools

__all__ = ["Tool", "ToolResult", "Tools", "open_tools"]
