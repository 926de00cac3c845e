"""What the documents say of the code is true."""

from __future__ import annotations

import ast
import inspect
import re
import subprocess
import sys
from pathlib import Path

from gateway.core import errors
from gateway.flow import Flow

ROOT = Path(__file__).parent.parent
SENTENCE = "ingress → auth → template → budget → cache → route → upstream → meter → trace"
STAGES = SENTENCE.split(" → ")
MARKS = {
    "ingress": "ingress: Arrival",
    "route": "self.route.order(",
    "meter": "self.meter.bill(",
    "budget": "self.budget.hold(",
    "trace": "self.trace.record(",
}
"""How a stage is seen in the flow, where it is not `self.stage.`"""
SOURCES = sorted((ROOT / "gateway").rglob("*.py"))
SAYS_NOTHING = (
    "utils util helpers helper common misc base manager handler handlers service services processor data info types"
)


def test_the_sentence_is_the_same_in_the_readme_and_in_the_flow() -> None:
    flow = (ROOT / "gateway" / "flow.py").read_text()

    assert f"A call goes {SENTENCE}." in flow
    assert f"A call goes **{SENTENCE}**." in (ROOT / "README.md").read_text()


def test_every_stage_is_a_folder_and_stands_in_its_order_in_the_flow() -> None:
    body = inspect.getsource(Flow.run)
    places = []
    for stage in STAGES:
        assert (ROOT / "gateway" / stage / "__init__.py").exists()
        places.append(body.index(MARKS.get(stage, f"self.{stage}.")))
    assert places[:-1] == sorted(places[:-1])  # the record is opened first, and written last


def test_the_error_tree_names_every_error() -> None:
    tree = errors.__doc__ or ""
    defined = {
        name for name, value in vars(errors).items() if isinstance(value, type) and value.__module__ == errors.__name__
    }

    named = set(re.findall(r"\b[A-Z][A-Za-z]+[a-z]\b", tree)) - {"Errors", "Anything"}
    assert named == defined


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert not {path.stem for path in SOURCES} & set(SAYS_NOTHING.split())


def test_no_file_is_too_long_to_read() -> None:
    long = {str(path): count for path in SOURCES if (count := len(path.read_text().splitlines())) > 400}

    assert not long


def test_only_one_place_catches_everything() -> None:
    """The bug that ends a call is answered in ingress; what is cancelled is handled where it is named."""
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and (node.type is None or ast.unparse(node.type) == "Exception"):
                found.append(path.name)

    assert found == ["server.py"]


def test_what_is_slow_to_import_is_not_imported_at_start() -> None:
    code = "import sys, gateway.app; print([m for m in ('litellm', 'openai', 'genai_prices') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
