"""Paths and methods lead to who answers them, or say what would."""

from __future__ import annotations

import pytest

from gateway.core.errors import NotFound
from gateway.ingress.reply import Response
from gateway.ingress.request import Request
from gateway.ingress.server import MethodNotAllowed, Routes


async def chat(request: Request, response: Response, id: str) -> None: ...


async def models(request: Request, response: Response, id: str) -> None: ...


async def model(request: Request, response: Response, id: str) -> None: ...


async def forget(request: Request, response: Response, id: str) -> None: ...


ROUTES = Routes(
    {
        (b"POST", b"/v1/chat/completions"): chat,
        (b"GET", b"/v1/models"): models,
        (b"GET", b"/v1/models/"): model,
        (b"DELETE", b"/v1/models/"): forget,
    }
)


@pytest.mark.parametrize(
    ("method", "target", "endpoint"),
    [
        (b"POST", b"/v1/chat/completions", chat),
        (b"POST", b"/v1/chat/completions?api-version=1", chat),
        (b"GET", b"/v1/models", models),
        (b"GET", b"/v1/models?limit=1", models),
        (b"GET", b"/v1/models/", model),
        (b"GET", b"/v1/models/openai/gpt-4o", model),
        (b"DELETE", b"/v1/models/x", forget),
    ],
)
def test_a_route_is_found_whatever_its_query(method: bytes, target: bytes, endpoint: object) -> None:
    assert ROUTES.find(method, target) is endpoint


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"*",
        b"/v1",
        b"/v1/chat/completions/",
        b"/v1/chat/completions/x",
        b"/V1/models",
        b"//v1/models",
        b"/v1/models%2f",
        b"/v1/./models",
        b"/v1/modelsx",
    ],
)
def test_a_path_that_is_only_similar_is_not_found(target: bytes) -> None:
    for method in (b"GET", b"POST"):
        with pytest.raises(NotFound):
            ROUTES.find(method, target)


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        (b"GET", b"/v1/chat/completions", "POST"),
        (b"post", b"/v1/chat/completions", "POST"),
        (b"POST", b"/v1/models", "GET"),
        (b"POST", b"/v1/models/x", "GET, DELETE"),
    ],
)
def test_another_method_is_told_which_would_do(method: bytes, target: bytes, allowed: str) -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        ROUTES.find(method, target)

    assert (refused.value.status, refused.value.allowed) == (405, allowed)
