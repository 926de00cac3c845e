"""Simon Willison's llm, the command as people give it, with the gateway as a model of its own."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path

import cells
from click.testing import CliRunner

home = Path(tempfile.mkdtemp())
(home / "extra-openai-models.yaml").write_text(
    "".join(
        f"- {{model_id: {model}, model_name: {model}, api_base: '{cells.BASE_URL}/v1',"
        " api_key_name: gateway, supports_tools: true, supports_schema: true, vision: true}\n"
        for model in cells.MODELS
    )
)
(home / "tools.py").write_text('def get_weather(city: str) -> str:\n    """The weather."""\n    return "21 degrees"\n')
(home / "picture.png").write_bytes(base64.b64decode(cells.PICTURE))
os.environ["LLM_USER_PATH"] = str(home)
from llm.cli import cli  # noqa: E402  it reads the environment


class CommandError(Exception):
    """What the command said as it failed."""


def llm(model: str, *words: str) -> str:
    done = CliRunner().invoke(cli, ["prompt", "-m", model, "--key", cells.KEY, "--no-log", *words])
    if done.exit_code:
        raise CommandError(done.output)
    return done.stdout.strip()


def plain(model: str) -> None:
    cells.equal(llm(model, "--no-stream", cells.HELLO), cells.HELLO_ANSWER)


def stream(model: str) -> None:
    cells.equal(llm(model, cells.HELLO), cells.HELLO_ANSWER)


def tools(model: str) -> None:
    cells.equal(llm(model, "--functions", str(home / "tools.py"), cells.WEATHER), cells.WEATHER_ANSWER)


def structured(model: str) -> None:
    answer = llm(model, "--schema", json.dumps(cells.PERSON_SCHEMA), cells.EXTRACT)
    cells.equal(json.loads(answer), cells.PERSON)


def image(model: str) -> None:
    answer = llm(model, "-a", str(home / "picture.png"), cells.PICTURE_QUESTION)
    cells.equal(answer, cells.PICTURE_ANSWER)


def error(model: str) -> None:
    cells.fails(CommandError, lambda: llm(model, cells.FAIL))


cells.run(
    {"plain": plain, "stream": stream, "tool loop": tools, "structured": structured, "image": image, "error": error}
)
