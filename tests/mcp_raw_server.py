"""A tool server by hand, for what no SDK would do: `python mcp_raw_server.py FAULT [FILE]`.

It has one tool, `search`, and one fault: silent, dies, endless, slow, deaf or none.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

fault = sys.argv[1]
file = Path(sys.argv[2]) if len(sys.argv) > 2 else None
SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


def answer(request: dict[str, Any], result: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)


def initialized(request: dict[str, Any]) -> None:
    version = request["params"]["protocolVersion"]
    info = {"name": "raw", "version": "1"}
    answer(request, {"protocolVersion": version, "capabilities": {"tools": {}}, "serverInfo": info})


def called(request: dict[str, Any]) -> None:
    begun = file.read_text().count("called") if file else 0
    if file:
        with file.open("a") as out:
            out.write(f"called {json.dumps(request['params'])}\n")
    if fault == "dies" and begun == 0:
        print("about to die\x1b[31m", file=sys.stderr, flush=True)
        os._exit(3)
    if fault == "endless":
        sys.stdout.write("x" * 3_000_000)
        sys.stdout.flush()
    answer(request, {"content": [{"type": "text", "text": "Frogs live in ponds."}]})


if file:
    with file.open("a") as out:
        out.write(f"started {os.getpid()}\n")
if fault == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("this is no message", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    match message.get("method"):
        case "initialize" if fault != "silent":
            initialized(message)
        case "server/discover" if fault != "silent":
            error = {"code": -32601, "message": "Method not found"}
            print(json.dumps({"jsonrpc": "2.0", "id": message["id"], "error": error}), flush=True)
        case "tools/list":
            answer(message, {"tools": [{"name": "search", "inputSchema": SCHEMA}]})
        case "tools/call" if fault != "slow":
            called(message)
        case "notifications/cancelled" if file:
            with file.open("a") as out:
                out.write(f"cancelled {json.dumps(message['params'])}\n")
while fault == "deaf":
    time.sleep(1)
