"""The API on a page for people: the OpenAPI document as plain HTML. No script, nothing from another host."""

from collections.abc import Iterator
from html import escape
from typing import Any, Final, TypeAlias

from ocpp_server.control_api.fields import IN_WORDS

Json: TypeAlias = dict[str, Any]

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1b1f24; --soft: #57606a; --line: #d0d7de; --paper: #fff; --pane: #f6f8fa;
  --get: #0a5ca8; --post: #1a6b34; --put: #7a4b00; --delete: #a3191f; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6edf3; --soft: #9aa5b1; --line: #3a424b; --paper: #0f1419;
  --pane: #181e25; --get: #79b8ff; --post: #6fd58b; --put: #e3b341; --delete: #ff8e88; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: anywhere; }
h1 { margin: 0 0 .5rem; font-size: 1.7rem; } h2 { margin: 2.5rem 0 .75rem; font-size: 1.3rem; }
h1 small { color: var(--soft); font-size: .6em; font-weight: 400; }
h2:first-letter { text-transform: uppercase; }
h3 { margin: 1.1rem 0 .35rem; font-size: .82rem; color: var(--soft); font-weight: 600; }
a { color: var(--get); } code { font: .9em/1.5 ui-monospace, monospace; }
nav ul { columns: 16rem; padding: 0; margin: 0; list-style: none; } nav li { break-inside: avoid; padding: .1rem 0; }
details { margin: .5rem 0; border: 1px solid var(--line); border-radius: .5rem; background: var(--pane); }
summary { padding: .6rem .8rem; cursor: pointer; } summary span { display: block; color: var(--soft); }
details > div { padding: 0 .8rem .8rem; border-top: 1px solid var(--line); }
b { display: inline-block; min-width: 4.2rem; } .get { color: var(--get); } .post { color: var(--post); }
.put, .patch { color: var(--put); } .delete { color: var(--delete); }
table { width: 100%; border-collapse: collapse; font-size: .92rem; } caption { text-align: left; color: var(--soft); }
th, td { padding: .35rem .6rem .35rem 0; border-top: 1px solid var(--line); text-align: left; vertical-align: top; }
th { font-weight: 400; width: 32%; } :target { border-color: var(--get); }
@media (max-width: 40rem) { th, td { display: block; width: auto; padding-right: 0; }
  td { border: 0; padding-top: 0; } }
"""


def page(document: Json) -> str:
    """The HTML page of an OpenAPI document. All text of the document is escaped."""
    info = document["info"]
    parts = (
        "<!doctype html>",
        '<html lang="en"><head><meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<title>{escape(info['title'])}: control API</title><style>{_STYLE}</style></head><body>",
        f"<header><h1>{escape(info['title'])} control API <small>{escape(info['version'])}</small></h1>",
        f"<p>{_prose(info['description'])}</p>",
        '<p>For programs: <a href="/openapi.json">/openapi.json</a> (OpenAPI 3.1).</p></header>',
        *_contents(document),
        "<main>",
        *(part for tag in document["tags"] for part in _resource(document, tag["name"])),
        *_named_schemas(document),
        "</main></body></html>",
    )
    return "\n".join(parts)


def _contents(document: Json) -> Iterator[str]:
    yield '<nav aria-label="Contents"><ul>'
    for tag in document["tags"]:
        yield f'<li><a href="#{_anchor(tag["name"])}">{escape(tag["name"])}</a></li>'
    yield '<li><a href="#types">types</a></li></ul></nav>'


def _resource(document: Json, tag: str) -> Iterator[str]:
    yield f'<h2 id="{_anchor(tag)}">{escape(tag)}</h2>'
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield from _operation(path, method, operation)


def _operation(path: str, method: str, operation: Json) -> Iterator[str]:
    yield f'<details id="{_anchor(operation["operationId"])}"><summary><b class="{escape(method)}">'
    yield f"{escape(method.upper())}</b> <code>{escape(path)}</code><span>{escape(operation['summary'])}</span>"
    yield "</summary><div>"
    yield f"<p><small>Token: {escape(operation.get('x-evquota-role', 'administrator'))}</small></p>"
    if operation.get("description"):
        yield f"<p>{_prose(operation['description'])}</p>"
    if operation["parameters"]:
        yield "<h3>Parameters</h3><table>"
        yield from (_parameter(one) for one in operation["parameters"])
        yield "</table>"
    if "requestBody" in operation:
        optional = "" if operation["requestBody"]["required"] else " (may be left out)"
        yield f"<h3>Body{optional}</h3><p>{_content(operation['requestBody'])}</p>"
    answers = operation["responses"].items()
    good = [f"{_status(status, answer)}{_told(answer)}" for status, answer in answers if not _is_problem(answer)]
    problems = [_status(status, answer) for status, answer in answers if _is_problem(answer)]
    yield f"<h3>Answer</h3><p>{'<br>'.join(good)}</p>"
    yield f"<h3>Problems</h3><p><small>{', '.join(problems)}</small></p></div></details>"


def _parameter(one: Json) -> str:
    where = escape(f"in {one['in']}" + ("" if one["required"] else ", optional"))
    about = _schema(one["schema"]) + _remark(one) + _remark(one["schema"])
    return f"<tr><th><code>{escape(one['name'])}</code><br><small>{where}</small></th><td>{about}</td></tr>"


def _status(status: str, answer: Json) -> str:
    return f"<code>{escape(status)}</code> {escape(answer['description'])}"


def _is_problem(answer: Json) -> bool:
    return "application/problem+json" in answer.get("content", {})


def _told(answer: Json) -> str:
    return f": {_content(answer)}" if answer.get("content") else ""


def _content(holder: Json) -> str:
    return ", ".join(f"{_schema(one.get('schema', {}))} ({escape(kind)})" for kind, one in holder["content"].items())


def _named_schemas(document: Json) -> Iterator[str]:
    yield '<h2 id="types">types</h2>'
    for name, schema in sorted(document["components"]["schemas"].items()):
        yield f'<details open id="type-{escape(name)}"><summary><code>{escape(name)}</code></summary><div>'
        if schema.get("description"):
            yield f"<p>{_prose(schema['description'])}</p>"
        if "properties" not in schema:
            yield f"<p>{_schema(schema)}</p>"
        else:
            yield "<table>"
            required = schema.get("required", ())
            for field, kind in schema["properties"].items():
                needed = "" if field in required else "<br><small>optional</small>"
                about = f"{_schema(kind)}{_remark(kind)}"
                yield f"<tr><th><code>{escape(field)}</code>{needed}</th><td>{about}</td></tr>"
            yield "</table>"
        yield "</div></details>"


def _schema(schema: Any) -> str:
    """A schema in a few words, with links to those that have a name."""
    if not isinstance(schema, dict) or not schema:
        return "anything"
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#type-{name}"><code>{name}</code></a>'
    if "anyOf" in schema:
        return " or ".join(_schema(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(f"<code>{escape(str(one))}</code>" for one in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_schema(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_schema(schema['additionalProperties'])}"
    return escape(_kind(schema) + _limits(schema))


def _kind(schema: Json) -> str:
    kind = schema.get("type", "anything")
    return " or ".join(kind) if isinstance(kind, list) else str(schema.get("format") or kind)


def _limits(schema: Json) -> str:
    words = {
        "minimum": "at least {:,}",
        "exclusiveMinimum": "more than {:,}",
        "maximum": "at most {:,}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "pattern": "as {}",
    }
    told = [text.format(schema[name]) for name, text in words.items() if name in schema]
    told = ["not blank" if text == "at least 1 characters" else text for text in told]
    told = [IN_WORDS.get(text.removeprefix("as "), text) for text in told]
    return f" ({', '.join(dict.fromkeys(told))})" if told else ""


def _remark(schema: Json) -> str:
    default = f" Default: {schema['default']!r}." if schema.get("default") not in (None, "") else ""
    text = f"{schema.get('description', '')}{default}".strip()
    return f"<br>{_prose(text)}" if text else ""


def _prose(text: str) -> str:
    """Escaped; what stands between backticks as code."""
    pieces = escape(text).split("`")
    return "".join(f"<code>{piece}</code>" if number % 2 else piece for number, piece in enumerate(pieces))


def _anchor(name: str) -> str:
    return escape("-".join(name.split()).casefold())
