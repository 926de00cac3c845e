"""langchain-openai."""

from __future__ import annotations

import cells
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI
from openai import BadRequestError
from pydantic import BaseModel


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def get_weather(city: str) -> str:
    """The weather in a city."""
    return "21 degrees"


def chat(model: str) -> ChatOpenAI:
    return ChatOpenAI(model=model, base_url=f"{cells.BASE_URL}/v1", api_key=cells.KEY, max_retries=0, stream_usage=True)


def plain(model: str) -> None:
    answer = chat(model).invoke(cells.HELLO)
    cells.equal(answer.content, cells.HELLO_ANSWER)
    cells.true(answer.usage_metadata["input_tokens"] > 0, "there is no usage")


def stream(model: str) -> None:
    whole = None
    for chunk in chat(model).stream(cells.HELLO):
        whole = chunk if whole is None else whole + chunk
    cells.equal(whole.content, cells.HELLO_ANSWER)
    cells.true(whole.usage_metadata["output_tokens"] > 0, "there is no usage")


def tools(model: str) -> None:
    able = chat(model).bind_tools([get_weather])
    messages = [HumanMessage(cells.WEATHER)]
    first = able.invoke(messages)
    call = first.tool_calls[0]
    cells.equal((call["name"], call["args"]), ("get_weather", {"city": "Paris"}))
    messages += [first, ToolMessage(get_weather(**call["args"]), tool_call_id=call["id"])]
    cells.equal("".join(chunk.content for chunk in able.stream(messages)), cells.WEATHER_ANSWER)


def structured(model: str) -> None:
    able = chat(model).with_structured_output(Person, method="json_schema")
    cells.equal(able.invoke(cells.EXTRACT), Person(**cells.PERSON))


def image(model: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{cells.PICTURE}"}}
    content = [{"type": "text", "text": cells.PICTURE_QUESTION}, picture]
    cells.equal(chat(model).invoke([HumanMessage(content)]).content, cells.PICTURE_ANSWER)


def error(model: str) -> None:
    cells.fails(BadRequestError, lambda: chat(model).invoke(cells.FAIL))
    cells.fails(BadRequestError, lambda: list(chat(model).stream(cells.FAIL)))


cells.run(
    {"plain": plain, "stream": stream, "tool loop": tools, "structured": structured, "image": image, "error": error}
)
