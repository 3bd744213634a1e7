"""A tool server without the SDK, for faults that the SDK never has: `python mcp_raw_server.py FAULT [FILE]`.

It has one tool, `search`, and one fault: silent, dies, endless, slow, deaf, grows, restless,
parent, session, daemon, orphan, clogged, half (of a surrogate pair), utf8, wrong_id, last_id, null_id, no_id, odd_result,
refuses, errs or none.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

fault = sys.argv[1]
file = Path(sys.argv[2]) if len(sys.argv) > 2 else None
ODD_IDS = {"wrong_id": 999, "null_id": None, "no_id": [1]}
SCHEMA = {"type": "object", "properties": {"query": {"type": "string"}}, "required": ["query"]}


def answer(request: dict[str, Any], result: Any) -> None:
    print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": result}), flush=True)


def initialized(request: dict[str, Any]) -> None:
    version = request["params"]["protocolVersion"]
    info = {"name": "raw", "version": "1"}
    tools = {"listChanged": fault in ("grows", "restless")}
    answer(
        request, {"protocolVersion": version, "capabilities": {"tools": tools}, "serverInfo": info}
    )


def listed(request: dict[str, Any]) -> None:
    names = ["search", "dive"] if fault == "grows" and "called" in noted() else ["search"]
    note("listed")
    answer(request, {"tools": [{"name": name, "inputSchema": SCHEMA} for name in names]})
    if fault == "restless":
        announce()


def announce() -> None:
    changed = {"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}
    print(json.dumps(changed), flush=True)


def noted() -> str:
    return file.read_text() if file else ""


def note(line: str) -> None:
    if file:
        with file.open("a") as out:
            out.write(f"{line}\n")


def called(request: dict[str, Any]) -> None:
    begun = noted().count("called")
    note(f"called {json.dumps(request['params'])}")
    if fault == "dies" and begun == 0:
        print("about to die\x1b[31m", file=sys.stderr, flush=True)
        os._exit(3)
    if fault == "orphan" and begun == 0:
        note(f"child {subprocess.Popen(['sleep', '1000']).pid}")
        os._exit(3)
    if fault == "endless":
        sys.stdout.write("x" * 3_000_000)
        sys.stdout.flush()
    if fault in ("refuses", "errs"):
        error = {"code": -32602 if fault == "refuses" else -32000, "message": "no \ud83d frogs"}
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "error": error}), flush=True)
        return
    if fault in ODD_IDS:
        request = {"id": ODD_IDS[fault]}
    if fault == "last_id":
        request = {"id": request["id"] - 1}
    if fault == "odd_result":
        print(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": [7]}), flush=True)
        return
    text = "Frogs \ud800 live in ponds." if fault == "half" else "Frogs live in ponds."
    if fault == "utf8":
        line = json.dumps(
            {
                "jsonrpc": "2.0",
                "id": request["id"],
                "result": {"content": [{"type": "text", "text": "FROG"}]},
            }
        )
        sys.stdout.buffer.write(
            line.encode().replace(b"FROG", b"Frogs live in \xff ponds.") + b"\n"
        )
        sys.stdout.flush()
        return
    answer(request, {"content": [{"type": "text", "text": text}]})


note(f"started {os.getpid()}")
if fault == "deaf":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if fault == "daemon":  # Two forks, a session of its own, and an empty environment.
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            note(f"child {os.getpid()}")
            for stream in (0, 1, 2):
                os.close(stream)
            os.execve("/bin/sleep", ["sleep", "1000"], {})
        os._exit(0)
    os.wait()
    while "child" not in noted():
        time.sleep(0.01)
if fault in ("parent", "session"):
    apart = fault == "session"
    note(f"child {subprocess.Popen(['sleep', '1000'], start_new_session=apart).pid}")
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
            listed(message)
            while fault == "clogged":
                time.sleep(1)
        case "tools/call" if fault != "slow":
            called(message)
            if fault == "grows":
                announce()
        case "notifications/cancelled":
            note(f"cancelled {json.dumps(message['params'])}")
while fault == "deaf":
    time.sleep(1)
