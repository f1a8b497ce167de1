"""Names no program should have and some have."""

from __future__ import annotations

import pytest

HOSTILE = {
    "tags": "</script></style></title><img src=x onerror=alert(1)>",
    "quotes": "\"'`\\ onload=alert(1) x=\"'",
    "lines": "one\ntwo\r\nthree\u2028four\tfive",
    "terminal": "\x1b[31mred\x1b]0;title\x07\x00\b",
    "bidi": "abc\u202ecba\u200b\ufeff",
    "surrogate": "bytes\udc80\udcff",
    "unicode": "名前é\u0301\U0001d54f",
    "markdown": "| a | `b` ``c`` *d* [e](https://f.example) @user #1 <!-- $x$ -->",
    "comment": "--><!-- ]]> &amp; &#60;",
    "empty": " ",
}


@pytest.fixture(params=HOSTILE.values(), ids=HOSTILE.keys())
def hostile(request: pytest.FixtureRequest) -> str:
    return request.param
