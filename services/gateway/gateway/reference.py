"""The page at /docs: the OpenAPI document as plain HTML, which needs nothing from elsewhere."""

import json
from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]

_STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
code, pre { font: 14px/1.4 ui-monospace, monospace }
pre { background: #f4f4f6; padding: .75rem; overflow-x: auto; border-radius: 4px }
details { border-top: 1px solid #ccc; padding: .5rem 0 } summary { cursor: pointer }
td, th { text-align: left; padding: .1rem 1rem .1rem 0; vertical-align: top }
.method { display: inline-block; width: 4rem; font-weight: bold } .roles { color: #666 }
"""


def page_of(document: Json) -> str:
    """The document as one page: each operation with its parameters, bodies and errors."""
    info = document["info"]
    sections = "".join(_section(document, tag) for tag in document["tags"])
    title = escape(info["title"])
    return (
        f'<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title} {escape(info['version'])}</h1>"
        f"{_paragraphs(info['description'])}"
        f'<p><a href="/openapi.json">openapi.json</a></p>{sections}</body></html>'
    )


def _section(document: Json, tag: Json) -> str:
    operations = "".join(
        _operation(document, path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if tag["name"] in operation["tags"]
    )
    name, description = escape(tag["name"].capitalize()), escape(tag["description"])
    return f"<h2>{name}</h2><p>{description}</p>{operations}"


def _operation(document: Json, path: str, method: str, operation: Json) -> str:
    roles = ", ".join(r for scheme in operation.get("security", ()) for r in _roles(scheme))
    return (
        f'<details id="{escape(operation["operationId"])}"><summary>'
        f'<span class="method">{method.upper()}</span> <code>{escape(path)}</code> '
        f'<span class="roles">{escape(roles)}</span></summary>'
        f"{_paragraphs(operation['description'])}{_parameters(operation)}"
        f"{''.join(_bodies(document, operation))}</details>"
    )


def _roles(scheme: Json) -> list[str]:
    return [role for roles in scheme.values() for role in roles]


def _parameters(operation: Json) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(one['name'])}</code></td><td>{one['in']}</td>"
        f"<td>{escape(one.get('description', ''))}</td></tr>"
        for one in operation.get("parameters", ())
    )
    return f"<table>{rows}</table>" if rows else ""


def _bodies(document: Json, operation: Json) -> Iterator[str]:
    if "requestBody" in operation:
        yield from _examples(document, "Request", operation["requestBody"])
    for status, response in operation["responses"].items():
        yield from _examples(document, f"{status} {response['description']}", response)


def _examples(document: Json, title: str, body: Json) -> Iterator[str]:
    yield f"<h4>{escape(title)}</h4>"
    for media_type, content in body.get("content", {}).items():
        for example in examples_in(document, content):
            text = example if isinstance(example, str) else json.dumps(example, indent=2)
            yield f"<p>{media_type}</p><pre>{escape(text)}</pre>"


def examples_in(document: Json, content: Json) -> list[Any]:
    """The examples that a media type's content gives, by itself or by its schema."""
    if "example" in content:
        return [content["example"]]
    if "examples" in content:
        return [example["value"] for example in content["examples"].values()]
    schema = content.get("schema", {})
    for choice in schema.get("anyOf", [schema]):
        if "$ref" in choice:
            schema = document["components"]["schemas"][choice["$ref"].rpartition("/")[2]]
    return list(schema.get("examples", ()))


def _paragraphs(text: str) -> str:
    return "".join(f"<p>{escape(part)}</p>" for part in text.split("\n\n"))
