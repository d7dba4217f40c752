"""What `/score` and `/invocations` take and answer, as schemas of OpenAPI and of its forerunner Swagger 2."""

from typing import Any, Literal

Schema = dict[str, Any]
Version = Literal["2", "3", "3.1"]

_IMAGE = (
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQMAAACQp+OdAAAAA1BMVEXIyMiu"
    "Wu3mAAAAD0lEQVR42mNgGAWjgHwAAAJAAAHgTR1EAAAAAElFTkSuQmCC"
)
_MASK = (
    "iVBORw0KGgoAAAANSUhEUgAAAEAAAABAAQAAAACCEkxzAAAAHklEQVR42mNg"
    "GFyAkYHhPwMDAyMDE0xklIHMGGwAAPa7AUAn7aGOAAAAAElFTkSuQmCC"
)
ROW = {"prompt": "a red apple", "image": _IMAGE, "mask_image": _MASK}
SPLIT = {"columns": [*ROW], "index": [0], "data": [[*ROW.values()]]}

PARAMS: Schema = {
    "type": "object",
    "description": "num_inference_steps, guidance_scale, negative_prompt, strength, seed, num_images_per_prompt "
    "and the other fields of a request; a list gives each row its own.",
}
SPLIT_SCHEMA: Schema = {
    "type": "object",
    "format": "pandas.DataFrame:split",
    "required": ["data"],
    "properties": {
        "columns": {"type": "array", "items": {"type": "string"}},
        "index": {"type": "array", "items": {}},
        "data": {"type": "array", "items": {}, "minItems": 1},
        "parameters": PARAMS,
    },
    "example": SPLIT,
}
ROW_SCHEMA: Schema = {
    "type": "object",
    "required": [*ROW],
    "properties": {
        "prompt": {"type": "string"},
        "image": {"type": "string", "description": "Base64 of a picture."},
        "mask_image": {"type": "string", "description": "Base64 of its mask: white is repainted."},
        "negative_prompt": {"type": "string"},
    },
}
ERROR_SCHEMA: Schema = {
    "type": "object",
    "required": ["message"],
    "properties": {"message": {"type": "string"}, "error": {"type": "object"}},
}


def entries_schema(version: Version) -> Schema:
    """Return the schema of an answer's list: an entry a picture, in the order of the rows."""
    return {
        "type": "array",
        "format": "pandas.DataFrame:records",
        "items": {
            "type": "object",
            "required": ["prompt", "generated_image", "nsfw_content_detected"],
            "properties": {
                "prompt": _or_null("string", version),
                "generated_image": _or_null("string", version),
                "nsfw_content_detected": _or_null("boolean", version),
                "error": {"type": "object", "description": "Why this row has no picture."},
            },
        },
    }


def predictions_schema() -> Schema:
    """Return the schema of MLflow's answer."""
    entries = entries_schema("3.1")
    wrapped = {"type": "object", "required": ["predictions"], "properties": {"predictions": entries}}
    return {"anyOf": [wrapped, entries]}


def body_of(content: dict[str, Schema]) -> Schema:
    """Return what a route adds to the OpenAPI document for a body that it reads itself, by media type."""
    return {"requestBody": {"required": True, "content": content}}


def swagger(version: Version, *, title: str, release: str) -> Schema:
    """Return the document of `/score` in one of the three versions that Azure's server offers."""
    path = "#/definitions/" if version == "2" else "#/components/schemas/"
    schemas = {
        "ServiceInput": SERVICE_INPUT,
        "ServiceOutput": entries_schema(version),
        "ErrorResponse": ERROR_SCHEMA,
    }
    refs = {name: {"$ref": f"{path}{name}"} for name in schemas}
    answers = {"200": refs["ServiceOutput"], "default": refs["ErrorResponse"]}
    info = {"title": title, "version": release}
    if version == "2":
        post = {
            "consumes": ["application/json"],
            "produces": ["application/json"],
            "parameters": [{"in": "body", "name": "body", "required": True, "schema": refs["ServiceInput"]}],
            "responses": {code: {"description": code, "schema": ref} for code, ref in answers.items()},
        }
        return {"swagger": "2.0", "info": info, "paths": {"/score": {"post": post}}, "definitions": schemas}
    post = {
        "requestBody": {"required": True, "content": {"application/json": {"schema": refs["ServiceInput"]}}},
        "responses": {
            code: {"description": code, "content": {"application/json": {"schema": ref}}}
            for code, ref in answers.items()
        },
    }
    number = {"3": "3.0.3", "3.1": "3.1.0"}[version]
    return {
        "openapi": number,
        "info": info,
        "paths": {"/score": {"post": post}},
        "components": {"schemas": schemas},
    }


SERVICE_INPUT: Schema = {
    "type": "object",
    "required": ["input_data"],
    "properties": {"input_data": SPLIT_SCHEMA, "params": PARAMS},
    "example": {"input_data": SPLIT, "params": {}},
}

_RECORDS: Schema = {"type": "array", "items": ROW_SCHEMA, "minItems": 1}
INVOCATION: Schema = {
    "type": "object",
    "properties": {
        "dataframe_split": SPLIT_SCHEMA,
        "dataframe_records": _RECORDS,
        "instances": _RECORDS,
        "inputs": {"description": "A list of rows, or an object of columns."},
        "params": PARAMS,
    },
    "example": {"dataframe_records": [ROW], "params": {"num_inference_steps": 20}},
}


def _or_null(kind: str, version: Version) -> Schema:
    """Say that a value may be null, which each version says in its own way."""
    if version == "3.1":
        return {"type": [kind, "null"]}
    return {"type": kind, ("nullable" if version == "3" else "x-nullable"): True}
