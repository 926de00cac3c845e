"""What a template can see of lists and objects, and how often it may look."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.template.engine import Engine, MissingError, TooLargeError

ORDER = {"id": 7, "lines": [{"name": "oak", "items": 2}, True, None], "name": "x"}
BIG = "x" * 100_000


def rendered(text: str, **values: Any) -> str:
    engine = Engine()
    engine.add("t", text)
    return engine.render("t", engine.sealed(values))


@pytest.mark.parametrize("name", ["items", "keys", "get", "pop", "gauge", "weight", "lines.append", "lines[0].values"])
def test_an_absent_member_is_absent_and_no_method_of_python_s(name: str) -> None:
    with pytest.raises(MissingError):
        rendered(f"{{{{ order.{name} }}}}", order=ORDER)
    with pytest.raises(MissingError):
        rendered(f"{{% if order.{name} %}}yes{{% endif %}}", order=ORDER)
    assert rendered(f"{{{{ order.{name}|default('none') }}}}", order=ORDER) == "none"
    assert rendered(f"{{% if order.{name} is defined %}}yes{{% endif %}}", order=ORDER) == ""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{{ order.lines[0].items }}", "2"),
        ("{{ order }}", '{"id": 7, "lines": [{"name": "oak", "items": 2}, true, null], "name": "x"}'),
        ("{{ order.lines|json }}", '[{"name": "oak", "items": 2}, true, null]'),
        ("{{ order.lines|join('; ') }}", '{"name": "oak", "items": 2}; true; null'),
        ("{% for key, value in order.lines[0]|items %}{{ key }}={{ value }},{% endfor %}", "name=oak,items=2,"),
        ("{% for key in order %}{{ key }},{% endfor %}", "id,lines,name,"),
        ("{{ order|length }}{{ order.lines|length }}{{ order.lines|last }}", "33null"),
        ("{% if order == same and order.lines == same.lines and 'id' in order %}yes{% endif %}", "yes"),
        ("{% if order != same or order.lines < same.lines %}yes{% endif %}", ""),
    ],
)
def test_what_there_is_is_as_it_was_given(text: str, expected: str) -> None:
    assert rendered(text, order=ORDER, same=dict(ORDER)) == expected


@pytest.mark.parametrize(
    "text",
    [
        "{% for a in few %}{% for b in large %}{% if a == b %}{% endif %}{% endfor %}{% endfor %}",
        "{% for a in few %}{% if large[0] %}{% endif %}{% endfor %}",
        "{% for a in few %}{{ large[0]|default('') }}{% endfor %}",
        "{% for a in few %}{% if large == same %}{% endif %}{% endfor %}",
        "{% for a in few %}{% if large < same %}{% endif %}{% endfor %}",
        "{% for a in few %}{% if a in large %}{% endif %}{% endfor %}",
        "{% for a in few %}{% if large|json == '' %}{% endif %}{% endfor %}",
        "{% for a in few %}{% if large|join == '' %}{% endif %}{% endfor %}",
        "{% for a in few %}{% for k, v in object|items %}{% endfor %}{% endfor %}",
        "{% for a in few %}{% for k in object %}{% endfor %}{% endfor %}",
    ],
)
def test_a_loop_that_looks_again_and_again_at_something_large_is_ended(text: str) -> None:
    values = {
        "few": [str(number) for number in range(1000)],
        "large": [BIG + str(number) for number in range(9)],
        "same": [BIG + str(number) for number in range(9)],
        "object": {BIG + str(number): BIG for number in range(9)},
    }

    with pytest.raises(TooLargeError):
        rendered(text, **values)


def test_an_engine_that_refused_renders_the_next() -> None:
    engine = Engine()
    engine.add("t", "{% for a in few %}{{ large[0]|length }}{% endfor %}")
    with pytest.raises(TooLargeError):
        engine.render("t", engine.sealed({"few": [1] * 1000, "large": [BIG]}))

    assert engine.render("t", engine.sealed({"few": [1, 2], "large": ["abc"]})) == "33"


@pytest.mark.parametrize(
    "text", ["  {% for x in xs %}\n{{ a }}\n  {% endfor %}\nb", "\n {% for x in xs %}{{ a }}{% endfor %}", "{{ loop }}"]
)
def test_a_variable_before_a_loop_changes_no_space_and_no_name(text: str) -> None:
    """A text with a loop has its variables read first; what comes of it is the same as without."""
    engine = Engine()
    engine.add("t", text)
    expected = {"  ": "1\n1\nb", "\n ": "\n11", "{{": "5"}[text[:2]]
    assert engine.render("t", engine.sealed({"xs": [1, 2], "a": 1, "loop": 5})) == expected
