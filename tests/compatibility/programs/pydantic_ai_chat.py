"""pydantic-ai, with its OpenAI model."""

from __future__ import annotations

import asyncio
import base64

import cells
from pydantic import BaseModel
from pydantic_ai import Agent, BinaryContent, NativeOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.openai import OpenAIProvider

provider = OpenAIProvider(base_url=f"{cells.BASE_URL}/v1", api_key=cells.KEY)
loop = asyncio.new_event_loop()


class Person(BaseModel):
    name: str
    age: int


def agent(model: str, **more: object) -> Agent:
    return Agent(OpenAIChatModel(model, provider=provider), **more)


def plain(model: str) -> None:
    result = loop.run_until_complete(agent(model).run(cells.HELLO))
    cells.equal(result.output, cells.HELLO_ANSWER)


def stream(model: str) -> None:
    async def read() -> str:
        async with agent(model).run_stream(cells.HELLO) as result:
            return "".join([text async for text in result.stream_text(delta=True)])

    cells.equal(loop.run_until_complete(read()), cells.HELLO_ANSWER)


def tools(model: str) -> None:
    able = agent(model)
    asked = []

    @able.tool_plain
    def get_weather(city: str) -> str:
        """The weather in a city."""
        asked.append(city)
        return "21 degrees"

    cells.equal(loop.run_until_complete(able.run(cells.WEATHER)).output, cells.WEATHER_ANSWER)
    cells.equal(asked, ["Paris"])


def structured(model: str) -> None:
    for kind in (NativeOutput(Person), Person):
        result = loop.run_until_complete(agent(model, output_type=kind).run(cells.EXTRACT))
        cells.equal(result.output, Person(**cells.PERSON))


def image(model: str) -> None:
    picture = BinaryContent(base64.b64decode(cells.PICTURE), media_type="image/png")
    result = loop.run_until_complete(agent(model).run([cells.PICTURE_QUESTION, picture]))
    cells.equal(result.output, cells.PICTURE_ANSWER)


def error(model: str) -> None:
    cells.fails(ModelHTTPError, lambda: loop.run_until_complete(agent(model).run(cells.FAIL)))


cells.run(
    {"plain": plain, "stream": stream, "tool loop": tools, "structured": structured, "image": image, "error": error}
)
