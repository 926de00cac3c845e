"""The openai SDK, responses."""

from __future__ import annotations

import json

import cells
from openai import BadRequestError, OpenAI
from pydantic import BaseModel


def client(model: str) -> OpenAI:
    """What the gateway writes itself is held to the letter; of a relay, the bytes are the provider's."""
    is_strict = model != "by-responses"
    return OpenAI(
        base_url=f"{cells.BASE_URL}/v1", api_key=cells.KEY, max_retries=0, _strict_response_validation=is_strict
    )


class Person(BaseModel):
    name: str
    age: int


TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather",
    "parameters": cells.WEATHER_SCHEMA,
    "strict": True,
}


def plain(model: str) -> None:
    answer = client(model).responses.create(model=model, input=cells.HELLO)
    cells.equal(answer.output_text, cells.HELLO_ANSWER)
    cells.equal(answer.status, "completed")
    cells.true(answer.usage and answer.usage.input_tokens > 0, "there is no usage")


def stream(model: str) -> None:
    with client(model).responses.stream(model=model, input=cells.HELLO) as events:
        told = list(events)
        last = events.get_final_response()
    cells.equal("".join(e.delta for e in told if e.type == "response.output_text.delta"), cells.HELLO_ANSWER)
    if model != "by-responses":  # there the mock numbers nothing
        cells.equal([e.sequence_number for e in told], list(range(len(told))))
    cells.equal((told[0].type, told[-1].type), ("response.created", "response.completed"))
    cells.equal(last.output_text, cells.HELLO_ANSWER)


def tools(model: str) -> None:
    first = client(model).responses.create(model=model, input=cells.WEATHER, tools=[TOOL])
    call = next(item for item in first.output if item.type == "function_call")
    cells.equal((call.name, json.loads(call.arguments)), ("get_weather", {"city": "Paris"}))
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "21 degrees"}
    again = client(model).responses.create(model=model, input=[result], previous_response_id=first.id, tools=[TOOL])
    cells.equal(again.output_text, cells.WEATHER_ANSWER)
    asked = [{"role": "user", "content": cells.WEATHER}, *(item.model_dump() for item in first.output), result]
    with client(model).responses.stream(model=model, input=asked, tools=[TOOL], store=False) as events:
        cells.equal(events.get_final_response().output_text, cells.WEATHER_ANSWER)


def structured(model: str) -> None:
    answer = client(model).responses.parse(model=model, input=cells.EXTRACT, text_format=Person)
    cells.equal(answer.output_parsed, Person(**cells.PERSON))


def image(model: str) -> None:
    content = [
        {"type": "input_text", "text": cells.PICTURE_QUESTION},
        {"type": "input_image", "image_url": f"data:image/png;base64,{cells.PICTURE}", "detail": "auto"},
    ]
    answer = client(model).responses.create(model=model, input=[{"role": "user", "content": content}])
    cells.equal(answer.output_text, cells.PICTURE_ANSWER)


def error(model: str) -> None:
    for is_stream in (False, True):
        cells.fails(
            BadRequestError,
            lambda is_stream=is_stream: client(model).responses.create(model=model, input=cells.FAIL, stream=is_stream),
        )


cells.run(
    {"plain": plain, "stream": stream, "tool loop": tools, "structured": structured, "image": image, "error": error}
)
