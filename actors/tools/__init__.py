"""Tools that other programs offer, called by the Model Context Protocol.

Rule: whatever a tool server does, Terzetto starts and goes on. Only what the settings allow is
called, and everything that comes back is bounded. The SDK is imported once there is a server to
talk to, as it takes a second or two.
"""

from actors.tools.catalog import Tool, ToolResult
from actors.tools.tools import Tools, open_tools

__all__ = ["Tool", "ToolResult", "Tools", "open_tools"]
