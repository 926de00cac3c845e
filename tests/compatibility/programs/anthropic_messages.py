"""The anthropic SDK, messages."""

from __future__ import annotations

import cells
from anthropic import Anthropic, BadRequestError
from pydantic import BaseModel

client = Anthropic(base_url=cells.BASE_URL, api_key=cells.KEY, max_retries=0, _strict_response_validation=True)


class Person(BaseModel):
    name: str
    age: int


TOOL = {"name": "get_weather", "description": "The weather", "input_schema": cells.WEATHER_SCHEMA}


def ask(model: str, content: object, **more: object) -> object:
    return client.messages.create(model=model, max_tokens=200, messages=[{"role": "user", "content": content}], **more)


def plain(model: str) -> None:
    answer = ask(model, cells.HELLO, system="Be kind.")
    cells.equal([block.text for block in answer.content if block.type == "text"], [cells.HELLO_ANSWER])
    cells.equal(answer.stop_reason, "end_turn")
    cells.true(answer.usage.input_tokens > 0, "there is no usage")
    cells.true(
        client.messages.count_tokens(model=model, messages=[{"role": "user", "content": cells.HELLO}]).input_tokens > 0,
        "nothing was counted",
    )


def stream(model: str) -> None:
    with client.messages.stream(
        model=model, max_tokens=200, messages=[{"role": "user", "content": cells.HELLO}]
    ) as events:
        text = "".join(events.text_stream)
        last = events.get_final_message()
    cells.equal(text, cells.HELLO_ANSWER)
    cells.equal((last.stop_reason, last.content[0].text), ("end_turn", cells.HELLO_ANSWER))
    cells.true(last.usage.output_tokens > 0, "there is no usage")


def tools(model: str) -> None:
    messages = [{"role": "user", "content": cells.WEATHER}]
    first = client.messages.create(model=model, max_tokens=200, messages=messages, tools=[TOOL])
    cells.equal(first.stop_reason, "tool_use")
    call = next(block for block in first.content if block.type == "tool_use")
    cells.equal((call.name, call.input), ("get_weather", {"city": "Paris"}))
    result = {"type": "tool_result", "tool_use_id": call.id, "content": "21 degrees"}
    messages += [
        {"role": "assistant", "content": [block.model_dump(exclude_none=True) for block in first.content]},
        {"role": "user", "content": [result]},
    ]
    with client.messages.stream(model=model, max_tokens=200, messages=messages, tools=[TOOL]) as events:
        last = events.get_final_message()
    cells.equal(last.content[-1].text, cells.WEATHER_ANSWER)


def structured(model: str) -> None:
    answer = client.messages.parse(
        model=model,
        max_tokens=200,
        messages=[{"role": "user", "content": cells.EXTRACT}],
        output_format=Person,
    )
    cells.equal(answer.parsed_output, Person(**cells.PERSON))


def image(model: str) -> None:
    picture = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": cells.PICTURE}}
    answer = ask(model, [picture, {"type": "text", "text": cells.PICTURE_QUESTION}])
    cells.equal(answer.content[0].text, cells.PICTURE_ANSWER)


def error(model: str) -> None:
    for is_stream in (False, True):
        cells.fails(BadRequestError, lambda is_stream=is_stream: ask(model, cells.FAIL, stream=is_stream))


cells.run(
    {"plain": plain, "stream": stream, "tool loop": tools, "structured": structured, "image": image, "error": error}
)
