"""The OpenAPI description of what routes read by hand, and a page that shows it without anything from elsewhere."""

from html import escape
from typing import Any

from deep_protection.service.api.errors import PROBLEM
from deep_protection.service.jobs.job_types import JobType


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
    query = f"?{kind.example}" if kind.example else ""
    return {
        "description": f"Example: `curl {forms} 'http://127.0.0.1:8000/v1/{kind.name}{query}'`",
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


def docs_page(openapi: dict[str, Any]) -> str:
    """Every route with its options, as plain HTML."""
    parts = []
    for path, methods in openapi["paths"].items():
        for method, about in methods.items():
            options = "".join(
                f"<dt><code>{escape(option['name'])}</code></dt><dd>{escape(option.get('description') or '')} "
                f"<small>{escape(_kind(option['schema']))}</small></dd>"
                for option in about.get("parameters", ())
            )
            text = "".join(f"<p>{escape(about[key])}</p>" for key in ("summary", "description") if about.get(key))
            parts.append(f"<h2><code>{method.upper()} {escape(path)}</code></h2>{text}<dl>{options}</dl>")
    title = f"{escape(openapi['info']['title'])} {escape(openapi['info']['version'])}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        '<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"></head>'
        f"<body><h1>{title}</h1><p>{escape(openapi['info']['description'])} For programs: "
        f'<a href="/openapi.json">/openapi.json</a>.</p>{"".join(parts)}</body></html>'
    )


def _kind(schema: dict[str, Any]) -> str:
    if "anyOf" in schema:
        return " or ".join(_kind(each) for each in schema["anyOf"] if each.get("type") != "null")
    limits = [f"{name} {schema[key]}" for key, name in _LIMITS if key in schema]
    kinds = ", ".join(map(str, schema["enum"])) if "enum" in schema else str(schema.get("type", ""))
    default = [f"default {schema['default']}"] if schema.get("default") is not None else []
    return ", ".join([kinds, *limits, *default])


_LIMITS = (
    ("minimum", "at least"),
    ("maximum", "at most"),
    ("exclusiveMinimum", "above"),
    ("exclusiveMaximum", "below"),
    ("maxLength", "characters at most"),
)
