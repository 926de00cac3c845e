"""The openai SDK, chat completions."""

from __future__ import annotations

import json

import cells
from openai import BadRequestError, OpenAI
from pydantic import BaseModel

client = OpenAI(base_url=f"{cells.BASE_URL}/v1", api_key=cells.KEY, max_retries=0, _strict_response_validation=True)


class Person(BaseModel):
    name: str
    age: int


TOOL = {
    "type": "function",
    "function": {"name": "get_weather", "description": "The weather", "parameters": cells.WEATHER_SCHEMA},
}


def plain(model: str) -> None:
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": cells.HELLO}])
    cells.equal(answer.choices[0].message.content, cells.HELLO_ANSWER)
    cells.equal(answer.choices[0].finish_reason, "stop")
    cells.true(answer.usage and answer.usage.prompt_tokens > 0, "there is no usage")


def stream(model: str) -> None:
    chunks = list(
        client.chat.completions.create(
            model=model,
            messages=[{"role": "user", "content": cells.HELLO}],
            stream=True,
            stream_options={"include_usage": True},
        )
    )
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    cells.equal(text, cells.HELLO_ANSWER)
    cells.equal([c.choices[0].finish_reason for c in chunks if c.choices and c.choices[0].finish_reason], ["stop"])
    cells.true(chunks[-1].usage and chunks[-1].usage.completion_tokens > 0, "there is no usage")


def tools(model: str) -> None:
    messages = [{"role": "user", "content": cells.WEATHER}]
    first = client.chat.completions.create(model=model, messages=messages, tools=[TOOL])
    asked = first.choices[0].message
    cells.equal(first.choices[0].finish_reason, "tool_calls")
    cells.equal(asked.tool_calls[0].function.name, "get_weather")
    cells.equal(json.loads(asked.tool_calls[0].function.arguments), {"city": "Paris"})
    messages += [
        asked.model_dump(exclude_none=True),
        {"role": "tool", "tool_call_id": asked.tool_calls[0].id, "content": "21 degrees"},
    ]
    with client.chat.completions.stream(model=model, messages=messages, tools=[TOOL]) as events:
        last = events.get_final_completion()
    cells.equal(last.choices[0].message.content, cells.WEATHER_ANSWER)


def structured(model: str) -> None:
    answer = client.chat.completions.parse(
        model=model, messages=[{"role": "user", "content": cells.EXTRACT}], response_format=Person
    )
    cells.equal(answer.choices[0].message.parsed, Person(**cells.PERSON))


def image(model: str) -> None:
    picture = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{cells.PICTURE}"}}
    content = [{"type": "text", "text": cells.PICTURE_QUESTION}, picture]
    answer = client.chat.completions.create(model=model, messages=[{"role": "user", "content": content}])
    cells.equal(answer.choices[0].message.content, cells.PICTURE_ANSWER)


def error(model: str) -> None:
    for is_stream in (False, True):
        cells.fails(
            BadRequestError,
            lambda is_stream=is_stream: client.chat.completions.create(
                model=model, messages=[{"role": "user", "content": cells.FAIL}], stream=is_stream
            ),
        )


cells.run(
    {"plain": plain, "stream": stream, "tool loop": tools, "structured": structured, "image": image, "error": error}
)
