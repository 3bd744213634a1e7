"""The files of the page as they are served, without a browser."""

from __future__ import annotations

import gzip
import re
from hashlib import sha256

import pytest
from scripted import scripted_system

from web.page.routes import page_files

VENDORED = {
    "vendor/lit-html.js": "b878e7f95dec8a9b6e9b217faca6b6a11bad82ebc44c0caa77419ed83edd81f2",
    "vendor/marked.js": "5371fea86fd0656b4fc7bea7c94c663109d82789b69433eeee78d42895aa44de",
}
"""The files of lit-html 3.3.3 and marked 18.2.1 as npm has them."""


@pytest.mark.parametrize("name", VENDORED)
def test_vendored_libraries_are_their_authors_files(name):
    assert sha256(page_files()[name].body).hexdigest() == VENDORED[name]


def test_vendored_libraries_are_small_and_have_their_licenses():
    sizes = [len(gzip.compress(page_files()[name].body)) for name in VENDORED]

    assert sum(sizes) < 40_000
    licenses = page_files()["vendor/LICENSES.txt"].body.decode()
    assert all(name.partition("/")[2] in licenses for name in VENDORED)


def test_every_module_imports_only_files_of_the_page():
    for name, file in page_files().items():
        if not name.endswith(".js") or name in VENDORED:
            continue
        folder = name.rpartition("/")[0]
        for target in re.findall(
            r'^import .*? from "(.+?)";$', file.body.decode(), re.MULTILINE | re.DOTALL
        ):
            parts = folder.split("/") if folder else []
            for part in target.split("/"):
                if part == "..":
                    parts.pop()
                elif part != ".":
                    parts.append(part)
            assert "/".join(parts) in page_files(), (name, target)


@pytest.mark.parametrize("name", [*page_files(), ""])
async def test_files_come_with_a_strict_policy_and_are_asked_for_again(served, name):
    path = f"/page/{name}" if name else "/"
    async with scripted_system() as system, served(system) as http:
        answer = await http.get(path)

        assert answer.status_code == 200
        assert answer.headers["content-type"].endswith("; charset=utf-8")
        policy = answer.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ") and "unsafe" not in policy
        assert "require-trusted-types-for 'script'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        again = await http.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 304 and again.content == b""
        assert again.headers["etag"] == answer.headers["etag"]


@pytest.mark.parametrize(
    "path", ["/page/", "/page/nothing.js", "/page/../routes.py", "/page/%2e%2e/routes.py", "/page"]
)
async def test_nothing_else_is_served(served, path):
    async with scripted_system() as system, served(system) as http:
        answer = await http.get(path)

        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("application/problem+json")


async def test_only_reading_is_allowed(served):
    async with scripted_system() as system, served(system) as http:
        assert (await http.post("/", content=b"x")).status_code == 405
        head = await http.head("/page/app.js")
        assert head.status_code == 200 and head.content == b""
