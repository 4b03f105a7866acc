"""Foreign text made safe for a log line, a note, a file: printable, of bounded length, always encodable as UTF-8."""


def printable(text: str, most: int = 255) -> str:
    """The text with control characters and lone surrogates escaped, cut to `most` characters.

    Nothing that comes from a charge point reaches a log, a note or the ledger without it: a raw newline forges a log
    line, a lone surrogate cannot be written as UTF-8.
    """
    if len(text) <= most and text.isprintable():
        return text
    if not text.isprintable():
        text = "".join(sign if sign.isprintable() else _escape(sign) for sign in text[:most])
    return text if len(text) <= most else text[: most - 1] + "…"


def _escape(sign: str) -> str:
    return sign.encode("unicode_escape").decode("ascii")
