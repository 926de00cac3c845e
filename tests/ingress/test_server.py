"""A path is served by the one endpoint that is declared for it, and is never read as another."""

from __future__ import annotations

import pytest

from gateway.core.errors import NotFound
from gateway.ingress.reply import Response
from gateway.ingress.request import Request
from gateway.ingress.server import MethodNotAllowed, Routes


async def chat(request: Request, response: Response, id: str) -> None: ...


async def model(request: Request, response: Response, id: str) -> None: ...


async def models(request: Request, response: Response, id: str) -> None: ...


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
        (b"POST", b"/v1/chat/completions?api_key=x", chat),
        (b"GET", b"/v1/models", models),
        (b"GET", b"/v1/models?", models),
        (b"GET", b"/v1/models/a", model),
        (b"GET", b"/v1/models/a/b%2Fc?x=/y", model),
        (b"DELETE", b"/v1/models/a", forget),
    ],
)
def test_a_path_finds_its_endpoint(method: bytes, target: bytes, endpoint: object) -> None:
    assert ROUTES.find(method, target) is endpoint


@pytest.mark.parametrize(
    "target",
    [
        b"/",
        b"*",
        b"",
        b"/v1",
        b"/v1/chat/completions/",
        b"/v1/chat/completions;x",
        b"/v1/chat/completions%00",
        b"/v1/chat/completions#x",
        b"/v1//chat/completions",
        b"//v1/chat/completions",
        b"/v1/x/../chat/completions",
        b"/v1/%63hat/completions",
        b"/v1%2Fchat/completions",
        b"/V1/chat/completions",
        b"/v1/modelsx",
        b"/?/v1/models",
    ],
)
def test_a_path_that_only_looks_like_one_is_not_found(target: bytes) -> None:
    with pytest.raises(NotFound):
        ROUTES.find(b"POST", target)


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        (b"GET", b"/v1/chat/completions", "POST"),
        (b"HEAD", b"/v1/models", "GET"),
        (b"post", b"/v1/chat/completions", "POST"),
        (b"PUT", b"/v1/models/a", "GET, DELETE"),
    ],
)
def test_another_method_is_told_which_are_served(method: bytes, target: bytes, allowed: str) -> None:
    with pytest.raises(MethodNotAllowed) as refused:
        ROUTES.find(method, target)

    assert (refused.value.status, refused.value.code, refused.value.allowed) == (405, "method_not_allowed", allowed)
