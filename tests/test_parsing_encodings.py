"""Encodings: read as they were written, or refused; never stored as other text."""

from __future__ import annotations

import pytest

from actors.errors import UnreadableDocument
from actors.library.parsing.decoding import decoded
from actors.library.parsing.parse import parse

RUSSIAN = "Каждую ночь мы сохраняем базу данных, и отчёт отправляется администратору по почте. "
JAPANESE = (
    "毎晩データベースを保存します。サーバーは午前三時に再起動され、報告は管理者に送られます。\n"
)
CHINESE = "公司每天晚上备份数据库。服务器在凌晨三点重新启动，报告会发送给管理员。\n"
KOREAN = "회사는 매일 밤 데이터베이스를 백업합니다. 서버는 새벽 세 시에 다시 시작됩니다. "
POLISH = "Każdej nocy zapisujemy bazę danych. Zażółć gęślą jaźń, a raport trafia do szefa. "
GERMAN = "Der Fluß trägt Äpfel über die Brücke, und die Größe ist gleich. "
QUOTED = "He said “hello” – it’s 5 € and that’s all. "
TURKISH = "Her gece veritabanını yedekliyoruz. Rapor yöneticiye gönderilir, Şişli ağaç. "


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "utf-16-le"),
        (JAPANESE, "shift_jis"),
        (JAPANESE, "euc-jp"),
        (JAPANESE, "iso2022_jp"),
        (JAPANESE, "utf-16-be"),
        (CHINESE, "gb18030"),
        (CHINESE, "utf-16-le"),
        (KOREAN, "euc-kr"),
        (POLISH, "cp1250"),
        (GERMAN, "latin-1"),
        (GERMAN, "utf-16-le"),
        (QUOTED, "cp1252"),
    ],
)
def test_text_without_a_label_is_read(text: str, encoding: str) -> None:
    assert decoded((text * 3).encode(encoding), None) == text * 3


@pytest.mark.parametrize("text", [RUSSIAN, POLISH, GERMAN, TURKISH])
@pytest.mark.parametrize(
    "encoding",
    ["cp1250", "cp1251", "cp1252", "cp1254", "iso8859-2", "iso8859-5", "iso8859-9", "koi8-r"]
    + ["cp437", "cp850", "cp852", "cp866", "mac-roman", "mac-cyrillic"],
)
@pytest.mark.parametrize("times", [1, 5])
def test_text_is_read_right_or_refused(text: str, encoding: str, times: int) -> None:
    try:
        body = (text * times).encode(encoding)
    except UnicodeEncodeError:
        return
    try:
        assert decoded(body, None) == text * times
    except UnreadableDocument as refused:
        assert "charset=windows-1252" in refused.message


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        ("朱镕基".encode("gbk"), "gb2312"),
        ("①".encode("cp932"), "Shift_JIS"),
        ("“x”".encode("cp1252"), "iso-8859-1"),
        ("x€".encode("cp1252"), "latin1"),
        ("Grüße".encode("cp437"), "cp437"),
    ],
)
def test_a_label_means_what_it_means_to_browsers(body: bytes, charset: str) -> None:
    assert "\ufffd" not in decoded(body, charset)
    assert decoded(body, charset).isprintable()


@pytest.mark.parametrize(
    "head",
    [
        '<?xml version="1.0" encoding="Shift_JIS"?>',
        '<html><head><meta charset="shift_jis">',
        '<meta http-equiv="Content-Type" content="text/html; charset=x-sjis">',
        "# -*- coding: shift_jis -*-\n",
    ],
)
def test_a_document_may_name_its_encoding(head: str) -> None:
    text = f"{head}ﾊﾝｶｸ"

    assert decoded(text.encode("shift_jis"), None) == text


@pytest.mark.parametrize(
    ("charset", "note"),
    [("nosuch", '"nosuch" is not known'), ("utf-8", 'not valid in its charset "utf-8"')],
)
def test_a_charset_that_was_not_used_is_in_the_notes(charset: str, note: str) -> None:
    body = GERMAN.encode("latin-1")

    found = parse(body, media_type=f"text/plain; charset={charset}")
    mail = b"Subject: x\nContent-Type: text/plain; charset=" + charset.encode() + b"\n\n" + body

    assert found.blocks[0].text == GERMAN.strip()
    assert note in found.notes[0]
    assert note in parse(mail, media_type="message/rfc822").notes[0]
    assert not parse(body, media_type="text/plain; charset=latin-1").notes


@pytest.mark.parametrize(
    ("text", "media_type"),
    [
        ("# Door code 4711\n", "text/markdown"),
        ("<h1>Door code 4711</h1>", "text/html"),
        ("Door code 4711\n==============\n", "text/x-rst"),
        ("* Door code 4711\n", "text/x-org"),
        ("Door code 4711\n==============\n", "text/plain"),
    ],
)
def test_a_document_of_one_heading_is_text(text: str, media_type: str) -> None:
    found = parse(text.encode(), media_type=media_type)

    assert found.title == "Door code 4711"
    assert [block.text for block in found.blocks] == ["Door code 4711"]
