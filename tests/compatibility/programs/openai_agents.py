"""openai-agents, which speaks responses."""

from __future__ import annotations

import asyncio

import cells
from agents import Agent, OpenAIResponsesModel, Runner, function_tool, set_tracing_disabled
from openai import AsyncOpenAI, BadRequestError
from pydantic import BaseModel

set_tracing_disabled(disabled=True)
client = AsyncOpenAI(base_url=f"{cells.BASE_URL}/v1", api_key=cells.KEY, max_retries=0)
loop = asyncio.new_event_loop()
asked: list[str] = []


class Person(BaseModel):
    name: str
    age: int


@function_tool
def get_weather(city: str) -> str:
    """The weather in a city."""
    asked.append(city)
    return "21 degrees"


def agent(model: str, **more: object) -> Agent:
    return Agent(name="Tester", model=OpenAIResponsesModel(model, openai_client=client), **more)


def plain(model: str) -> None:
    cells.equal(loop.run_until_complete(Runner.run(agent(model), cells.HELLO)).final_output, cells.HELLO_ANSWER)


def stream(model: str) -> None:
    async def read() -> tuple[str, str]:
        result = Runner.run_streamed(agent(model), cells.HELLO)
        texts = [
            event.data.delta
            async for event in result.stream_events()
            if event.type == "raw_response_event" and event.data.type == "response.output_text.delta"
        ]
        return "".join(texts), result.final_output

    cells.equal(loop.run_until_complete(read()), (cells.HELLO_ANSWER, cells.HELLO_ANSWER))


def tools(model: str) -> None:
    asked.clear()
    result = loop.run_until_complete(Runner.run(agent(model, tools=[get_weather]), cells.WEATHER))
    cells.equal((result.final_output, asked), (cells.WEATHER_ANSWER, ["Paris"]))


def structured(model: str) -> None:
    result = loop.run_until_complete(Runner.run(agent(model, output_type=Person), cells.EXTRACT))
    cells.equal(result.final_output, Person(**cells.PERSON))


def image(model: str) -> None:
    content = [
        {"type": "input_text", "text": cells.PICTURE_QUESTION},
        {"type": "input_image", "image_url": f"data:image/png;base64,{cells.PICTURE}", "detail": "auto"},
    ]
    result = loop.run_until_complete(Runner.run(agent(model), [{"role": "user", "content": content}]))
    cells.equal(result.final_output, cells.PICTURE_ANSWER)


def error(model: str) -> None:
    cells.fails(BadRequestError, lambda: loop.run_until_complete(Runner.run(agent(model), cells.FAIL)))


cells.run(
    {"plain": plain, "stream": stream, "tool loop": tools, "structured": structured, "image": image, "error": error}
)
