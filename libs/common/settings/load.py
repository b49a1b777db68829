"""Read a configuration file; every problem becomes one line with file, key path, what is allowed and what is near."""

from __future__ import annotations

import difflib
import os
import typing
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from libs.common.settings.errors import ConfigError
from libs.common.settings.model import Settings

DEFAULT_FILES = ("config.yaml", "config.example.yaml")


def config_path(path: str | Path | None = None) -> Path:
    """The file in force: the argument, else CONFIG_PATH, else config.yaml, else config.example.yaml."""
    if path:
        return Path(path)
    if env := os.environ.get("CONFIG_PATH"):
        return Path(env)
    for name in DEFAULT_FILES:
        if Path(name).exists():
            return Path(name)
    return Path(DEFAULT_FILES[-1])


def load_settings(path: str | Path | None = None) -> Settings:
    """Load and validate. In the environment CONCLAVE_VAR replaces platform.var, HTTP_HOST platform.http_host, and
    VENUE_ENDPOINT (simulator, live, testnet) the endpoint of every venue.

    Raises:
        ConfigError: missing or unreadable file, bad YAML, unknown or ill-typed or out-of-range setting.
    """
    file = config_path(path)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError([f"{file}: no such file; copy config.example.yaml or set CONFIG_PATH"]) from None
    except (OSError, UnicodeDecodeError) as err:
        raise ConfigError([f"{file}: cannot be read: {err}"]) from None
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as err:
        mark = getattr(err, "problem_mark", None)
        where = f", line {mark.line + 1}, column {mark.column + 1}" if mark else ""
        raise ConfigError([f"{file}{where}: not valid YAML: {getattr(err, 'problem', err)}"]) from None
    if not isinstance(raw, dict):
        raise ConfigError([f"{file}: empty or not a mapping; the sections are {_names(Settings)}"])
    _apply_environment(raw)
    try:
        return Settings.model_validate(raw)
    except ValidationError as err:
        raise ConfigError([_line(file, problem) for problem in err.errors()]) from None


def _apply_environment(raw: dict[str, Any]) -> None:
    for variable, setting in (("CONCLAVE_VAR", "var"), ("HTTP_HOST", "http_host")):
        if (value := os.environ.get(variable)) and isinstance(raw.setdefault("platform", {}), dict):
            raw["platform"][setting] = value
    data = raw.get("data")
    venues = data.get("venues") if isinstance(data, dict) else None
    if (endpoint := os.environ.get("VENUE_ENDPOINT")) and isinstance(venues, list):
        for venue in venues:
            if isinstance(venue, dict):
                venue["endpoint"] = endpoint


def _names(model: type[BaseModel]) -> str:
    return ", ".join(model.model_fields)


def _line(file: Path, problem: ErrorDetails) -> str:
    location = [part for part in problem["loc"] if not (isinstance(part, str) and part.startswith("function-"))]
    path = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).lstrip(".") or "(file)"
    if problem["type"] == "extra_forbidden":
        model = _model_at(location[:-1])
        near = difflib.get_close_matches(str(location[-1]), list(model.model_fields), n=1) if model else []
        allowed = f"; allowed here: {_names(model)}" if model else ""
        hint = f"; did you mean {near[0]!r}?" if near else ""
        return f"{file}: {path}: unknown setting{hint}{allowed}"
    said = problem["msg"].removeprefix("Value error, ")
    near_value = _near_value(problem)
    got = problem.get("input")
    shown = f", not {got!r}" if isinstance(got, str | int | float | bool) else ""
    return f"{file}: {path}: {said}{shown}{near_value}"


def _near_value(problem: ErrorDetails) -> str:
    if problem["type"] != "literal_error" or not isinstance(problem.get("input"), str):
        return ""
    allowed = [part.strip(" '") for part in problem.get("ctx", {}).get("expected", "").replace(" or ", ",").split(",")]
    near = difflib.get_close_matches(str(problem["input"]), allowed, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def _model_at(location: list[Any]) -> type[BaseModel] | None:
    current: Any = Settings
    for part in location:
        if isinstance(part, int):
            continue
        if not (isinstance(current, type) and issubclass(current, BaseModel)) or part not in current.model_fields:
            return None
        current = _inner_model(current.model_fields[part].annotation)
    return current if isinstance(current, type) and issubclass(current, BaseModel) else None


def _inner_model(annotation: Any) -> Any:
    if typing.get_origin(annotation) is None and isinstance(annotation, type):
        return annotation
    for argument in typing.get_args(annotation):
        inner = _inner_model(argument)
        if isinstance(inner, type) and issubclass(inner, BaseModel):
            return inner
    return None
