"""Nasty requests, by name: what a client, a scanner or an attacker may put on the wire.

Each is answered with one of the named statuses, or the connection is closed (`CLOSE`). Never is it a
500, a hang, or the end of the server.
"""

from __future__ import annotations

from http_raw import HOST

CLOSE = 0
BAD = frozenset({400, CLOSE})
TOO_LARGE = frozenset({431, CLOSE})
LOST = frozenset({404, 405})

_GET = b"GET /livez HTTP/1.1\r\n" + HOST
_POST = b"POST /tasks HTTP/1.1\r\n" + HOST + b"Content-Type: application/json\r\n"
_BODY = b'{"task_description": "frogs"}'
_CHUNKED = _POST + b"Transfer-Encoding: chunked\r\n\r\n"

CORPUS: dict[str, tuple[bytes, frozenset[int]]] = {
    # --- not HTTP/1.1 at all
    "nothing but a line end": (b"\r\n\r\n", BAD),
    "zero bytes": (b"\0" * 64, BAD),
    "a TLS hello": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\xab" * 200, BAD),
    "the HTTP/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 9, BAD),
    "HTTP/0.9": (b"GET /livez\r\n\r\n", BAD),
    "HTTP/2.0 in words": (b"GET /livez HTTP/2.0\r\n" + HOST + b"\r\n", BAD),
    "HTTP/9.9": (b"GET /livez HTTP/9.9\r\n" + HOST + b"\r\n", BAD),
    "a version in small letters": (b"GET /livez http/1.1\r\n" + HOST + b"\r\n", BAD),
    "SSH": (b"SSH-2.0-OpenSSH_9.7\r\n\r\n", BAD),
    "a Redis command": (b"*1\r\n$4\r\nINFO\r\n\r\n", BAD),
    "an SMTP greeting": (b"EHLO example.org\r\n\r\n", BAD),
    "random bytes": (bytes((n * 73 + 41) % 256 for n in range(512)) + b"\r\n\r\n", BAD),
    # --- the request line
    "two spaces": (b"GET  /livez HTTP/1.1\r\n" + HOST + b"\r\n", BAD),
    "a tab for a space": (b"GET\t/livez\tHTTP/1.1\r\n" + HOST + b"\r\n", BAD),
    "a method with a colon": (b"G:T /livez HTTP/1.1\r\n" + HOST + b"\r\n", BAD),
    "no method": (b" /livez HTTP/1.1\r\n" + HOST + b"\r\n", BAD),
    "an unknown method": (b"FROG /livez HTTP/1.1\r\n" + HOST + b"\r\n", LOST),
    "a method in small letters": (
        b"get /livez HTTP/1.1\r\n" + HOST + b"\r\n",
        frozenset({200, *LOST}),
    ),
    "a method of 1,000 letters": (b"G" * 1_000 + b" /livez HTTP/1.1\r\n" + HOST + b"\r\n", LOST),
    "CONNECT": (b"CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\n", BAD),
    "CONNECT to a path": (b"CONNECT /livez HTTP/1.1\r\n" + HOST + b"\r\n", LOST),
    "TRACE": (b"TRACE /livez HTTP/1.1\r\n" + HOST + b"\r\n", LOST),
    "OPTIONS *": (b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n", BAD),
    "a target without a slash": (b"GET livez HTTP/1.1\r\n" + HOST + b"\r\n", BAD),
    "a target that is a query": (b"GET ?a=b HTTP/1.1\r\n" + HOST + b"\r\n", BAD),
    "an absolute target": (
        b"GET http://localhost/livez HTTP/1.1\r\n" + HOST + b"\r\n",
        frozenset({200}),
    ),
    "an absolute target that is no URL": (
        b"GET http://[::1/livez HTTP/1.1\r\n" + HOST + b"\r\n",
        BAD,
    ),
    "an absolute target of another scheme": (
        b"GET ftp://localhost/ HTTP/1.1\r\n" + HOST + b"\r\n",
        BAD,
    ),
    "a fragment": (b"GET /nothing#here HTTP/1.1\r\n" + HOST + b"\r\n", LOST),
    "raw UTF-8 in the path": ("GET /livéz HTTP/1.1\r\n".encode() + HOST + b"\r\n", BAD),
    "NUL in the path": (b"GET /liv\0ez HTTP/1.1\r\n" + HOST + b"\r\n", BAD),
    "NUL, percent-encoded": (b"GET /tasks/%00 HTTP/1.1\r\n" + HOST + b"\r\n", frozenset({404})),
    "broken UTF-8, percent-encoded, in the path": (
        b"GET /tasks/%ff%fe%c0%af HTTP/1.1\r\n" + HOST + b"\r\n",
        frozenset({404}),
    ),
    "a surrogate, percent-encoded, in the path": (
        b"GET /tasks/%ed%a0%80 HTTP/1.1\r\n" + HOST + b"\r\n",
        frozenset({404}),
    ),
    "broken percent-encodings": (
        b"GET /tasks/%zz%1 HTTP/1.1\r\n" + HOST + b"\r\n",
        frozenset({404}),
    ),
    "broken UTF-8 in the query": (
        b"GET /tasks?limit=%ff&cursor=%c3%28 HTTP/1.1\r\n" + HOST + b"\r\n",
        frozenset({422}),
    ),
    "a query of nothing but signs": (
        b"GET /tasks?&&==&=&;&%00=%00 HTTP/1.1\r\n" + HOST + b"\r\n",
        frozenset({422, 200}),
    ),
    "a path out of the root": (b"GET /../../etc/passwd HTTP/1.1\r\n" + HOST + b"\r\n", LOST),
    "two slashes first": (b"GET //evil/livez HTTP/1.1\r\n" + HOST + b"\r\n", LOST),
    "a path of 20,000 letters": (
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        frozenset({404}),
    ),
    "a path of 70,000 letters": (
        b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + HOST + b"\r\n",
        TOO_LARGE,
    ),
    "a line that never ends": (b"GET /" + b"a" * 200_000, TOO_LARGE),
    # --- header fields
    "no Host": (b"GET /livez HTTP/1.1\r\n\r\n", BAD),
    "two Hosts": (_GET + b"Host: localhost\r\n\r\n", BAD),
    "a strange Host": (
        b"GET /livez HTTP/1.1\r\nHost: \xff:/@[\r\n\r\n",
        frozenset({403, 400, CLOSE}),
    ),
    "an empty Host": (b"GET /livez HTTP/1.1\r\nHost:\r\n\r\n", frozenset({200, 403})),
    "a field without a colon": (_GET + b"what is this\r\n\r\n", BAD),
    "a field without a name": (_GET + b": nothing\r\n\r\n", BAD),
    "a space before the colon": (_GET + b"X-Odd : 1\r\n\r\n", BAD),
    "NUL in a field": (_GET + b"X-Odd: a\0b\r\n\r\n", BAD),
    "a bare CR in a field": (_GET + b"X-Odd: a\rb\r\n\r\n", BAD),
    "bare LFs": (b"GET /livez HTTP/1.1\nHost: localhost\n\n", frozenset({200, *BAD})),
    "an obsolete fold": (_GET + b"X-Odd: a\r\n b\r\n\r\n", frozenset({200, *BAD})),
    "a fold first": (b"GET /livez HTTP/1.1\r\n  Host: localhost\r\n\r\n", BAD),
    "a field of 64 KiB": (_GET + b"X-Long: " + b"x" * 65_536 + b"\r\n\r\n", TOO_LARGE),
    "10,000 fields": (_GET + b"X-N: 1\r\n" * 10_000 + b"\r\n", TOO_LARGE),
    "200 fields": (_GET + b"X-N: 1\r\n" * 200 + b"\r\n", TOO_LARGE),
    "Latin-1 in a field": (_GET + b"X-Name: caf\xe9\r\n\r\n", frozenset({200})),
    "Latin-1 in a field that is read": (_GET + b"Accept: \xe9\xff\r\n\r\n", frozenset({200})),
    # --- bodies
    "Content-Length and chunks": (
        _POST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    "two Content-Lengths": (_POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef", BAD),
    "two Content-Lengths in one": (_POST + b"Content-Length: 5, 6\r\n\r\nabcdef", BAD),
    "a negative Content-Length": (_POST + b"Content-Length: -5\r\n\r\nabcde", BAD),
    "a signed Content-Length": (_POST + b"Content-Length: +5\r\n\r\nabcde", BAD),
    "a hexadecimal Content-Length": (_POST + b"Content-Length: 0x5\r\n\r\nabcde", BAD),
    "a Content-Length of many digits": (
        _POST + b"Content-Length: " + b"9" * 500 + b"\r\n\r\n",
        BAD,
    ),
    "a huge Content-Length": (
        _POST + b"Content-Length: 9999999999999\r\n\r\n",
        frozenset({413}),
    ),
    "Transfer-Encoding gzip": (_POST + b"Transfer-Encoding: gzip\r\n\r\n", BAD),
    "Transfer-Encoding identity": (_POST + b"Transfer-Encoding: identity\r\n\r\n", BAD),
    "Transfer-Encoding twice": (_POST + b"Transfer-Encoding: chunked, chunked\r\n\r\n", BAD),
    "Transfer-Encoding in HTTP/1.0": (
        b"POST /tasks HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        BAD,
    ),
    "a chunk size that is no number": (_CHUNKED + b"zz\r\nabc\r\n0\r\n\r\n", BAD),
    "a negative chunk size": (_CHUNKED + b"-5\r\nabcde\r\n0\r\n\r\n", BAD),
    "a chunk size of many digits": (_CHUNKED + b"f" * 200 + b"\r\n", BAD),
    "a chunk longer than its size": (_CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n", BAD),
    "an endless chunk extension": (_CHUNKED + b"3;" + b"x" * 100_000, frozenset({*BAD, 431})),
    "trailers": (
        _CHUNKED + b"1d\r\n" + _BODY + b"\r\n0\r\nX-Sum: 1\r\n\r\n",
        frozenset({201}),
    ),
    "a broken trailer": (_CHUNKED + b"1d\r\n" + _BODY + b"\r\n0\r\nno colon\r\n\r\n", BAD),
    "a body with GET": (_GET + b"Content-Length: 3\r\n\r\nabc", frozenset({200})),
    "Expect with a body": (
        _POST + b"Expect: 100-continue\r\nContent-Length: 29\r\n\r\n" + _BODY,
        frozenset({201}),
    ),
    "Expect without one": (_GET + b"Expect: 100-continue\r\n\r\n", frozenset({200})),
    "an unknown Expect": (_GET + b"Expect: a-miracle\r\n\r\n", frozenset({200, 417})),
    # --- upgrades
    "h2c with bad base64": (
        _GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: !!!not*base64\r\n\r\n",
        frozenset({200}),
    ),
    "h2c with settings": (
        _GET + b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n"
        b"HTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n",
        frozenset({200}),
    ),
    "a WebSocket": (
        _GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
        frozenset({200}),
    ),
    "a WebSocket without a key": (
        _GET + b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        frozenset({200}),
    ),
}
