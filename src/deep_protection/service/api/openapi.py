"""The OpenAPI description of what routes read by hand, and a page that shows it without anything from elsewhere."""

from html import escape
from typing import Any

from deep_protection.service.api.errors import PROBLEM
from deep_protection.service.jobs.job_types import JobType

EXAMPLE = "x-example"
"""In the description of a route: curl's form, path and query, for whoever knows the service's address."""


def openapi_extra(kind: JobType) -> dict[str, Any]:
    """Query, bodies and examples of ``POST /v1/{kind}``."""
    schema = kind.options.model_json_schema()
    properties: dict[str, Any] = schema["properties"]
    binary = {"type": "string", "format": "binary"}
    files = dict.fromkeys(kind.inputs, binary)
    bodies: dict[str, Any] = {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {**files, **properties},
                "required": list(files),
                "additionalProperties": False,
            }
        }
    }
    if kind.inputs == ("image",):
        bodies |= {kind_of: {"schema": binary} for kind_of in ("image/png", "image/jpeg", "application/octet-stream")}
    forms = " ".join(f"-F {name}=@{name}.png" for name in kind.inputs)
    query = f"/v1/{kind.name}{f'?{kind.example}' if kind.example else ''}"
    return {
        "description": f"Example: `{_example('http://127.0.0.1:8000', forms, query)}`",
        EXAMPLE: [forms, query],
        "parameters": [
            {
                "name": name,
                "in": "query",
                "required": False,
                "description": value.get("description", ""),
                "schema": {key: each for key, each in value.items() if key != "description"},
            }
            for name, value in properties.items()
        ],
        "requestBody": {"required": True, "content": bodies},
    }


def describe_errors(openapi: dict[str, Any]) -> None:
    """Have every error described with the type that it has; FastAPI takes it for plain JSON."""
    for methods in openapi["paths"].values():
        for method, about in methods.items():
            for status, response in about.get("responses", {}).items():
                content = response.get("content", {})
                if status >= "400" and "application/json" in content:
                    content[PROBLEM] = content.pop("application/json")
                    if method == "post" and status in ("409", "422", "503"):  # a job that was waited for, and failed
                        content["application/json"] = {"schema": {"$ref": "#/components/schemas/JobDocument"}}


def docs_page(openapi: dict[str, Any], base: str) -> str:
    """Every route with its options, as plain HTML in the colours of the page.

    Args:
        openapi: the description that ``/openapi.json`` gives.
        base: where the service was reached, without a slash at the end; the examples ask there.
    """
    title = f"{escape(openapi['info']['title'])} {escape(openapi['info']['version'])}"
    parts, places = [], []
    for path, methods in openapi["paths"].items():
        for method, about in methods.items():
            options = "".join(
                f"<dt><code>{escape(option['name'])}</code> <small>{escape(_kind(option['schema']))}</small></dt>"
                f"<dd>{escape(option.get('description') or '')}</dd>"
                for option in about.get("parameters", ())
            )
            example, told = about.get(EXAMPLE, ""), [about[key] for key in ("summary", "description") if key in about]
            text = "".join(f"<p>{escape(each)}</p>" for each in told if each and not each.startswith("Example: "))
            curl = f"<pre><code>{escape(_example(base, *example))}</code></pre>" if example else ""
            name = f"{method}-{path.strip('/').replace('/', '-').translate(_NO_BRACES)}"
            parts.append(
                f'<section id="{escape(name)}"><h2><span class="docs-method">{method.upper()}</span> '
                f"<code>{escape(path)}</code></h2>{text}{curl}{f'<dl>{options}</dl>' if options else ''}</section>"
            )
            places.append(f'<li><a href="#{escape(name)}"><code>{method.upper()} {escape(path)}</code></a></li>')
    return (
        f'<!doctype html><html lang="en-GB"><head><meta charset="utf-8"><title>API – {title}</title>'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="static/icon.svg" type="image/svg+xml">'
        '<link rel="stylesheet" href="static/style.css"><link rel="stylesheet" href="static/docs.css">'
        '<script src="static/theme.js"></script></head><body class="docs"><main>'
        f'<p><a href="./">Back to the page</a></p><h1>{escape(openapi["info"]["title"])} over HTTP</h1>'
        f'<p class="lead">{escape(openapi["info"]["description"])} This is version '
        f"{escape(openapi['info']['version'])} at <code>{escape(base)}</code>. For programs: "
        f'<a href="openapi.json">openapi.json</a>. Where the service was started with a token, add '
        '<code>-H "Authorization: Bearer $DEEP_PROTECTION_TOKEN"</code> to the examples.</p>'
        f'<nav aria-label="Routes"><ul>{"".join(places)}</ul></nav>{"".join(parts)}</main></body></html>'
    )


_NO_BRACES = {ord(brace): None for brace in "{}"}


def _example(base: str, forms: str, query: str) -> str:
    return f"curl {forms} '{base}{query}'"


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    limits = [f"{name} {schema[key]}" for key, name in _LIMITS if key in schema]
    kinds = ", ".join(map(str, schema["enum"])) if "enum" in schema else str(schema.get("type", ""))
    given = schema.get("default")
    default = [] if given is None else [f"default {str(given).lower() if isinstance(given, bool) else given}"]
    return ", ".join([kinds, *limits, *default])


_LIMITS = (
    ("minimum", "at least"),
    ("maximum", "at most"),
    ("exclusiveMinimum", "above"),
    ("exclusiveMaximum", "below"),
    ("maxLength", "characters at most"),
)
